// Package filestore keeps cluster state in files: per cluster a directory
// with an append-only journal and a lock.
//
// A journal record is length, CRC32C and sequence number (little endian, 4 +
// 4 + 8 bytes) and a JSON body, written with one write and made durable with
// fsync before Append returns. A torn tail, left by a crash or a full disk, is
// cut off when the journal is opened. When it has grown the journal is
// replaced, by rename, with one that holds the folded document.
package filestore
