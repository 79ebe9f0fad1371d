// Package providertest holds every provider to the contract of package
// provider, with one suite that runs against the provider's simulator.
//
// A provider's own tests make a [World] and call [Run]. What a provider
// cannot do (power, media, images) is found by type assertion, as plan does,
// and skipped.
package providertest
