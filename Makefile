# `make demo` and `make test` are the two commands a newcomer types; each
# brings what it needs (client tools and haproxy only).
SHELL := /bin/bash
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GO      ?= go
SPEC    ?= examples/proxmox-ha/cluster.hcl

.PHONY: build demo test test-unit test-net test-servers test-rehearse test-nightly fuzz lint bench golden docs tools tools-test clean

build: ## the binary, bin/slipway
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/slipway ./cmd/slipway

demo: tools build ## rehearse the classic cluster: 3 control plane + 2 workers on Proxmox
	bin/slipway rehearse -f $(SPEC)

test: export SLIPWAY_TEST_MISSING = $(CURDIR)/.cache/missing
test: tools-test build ## everything, with the seconds of each part
	@rm -rf .cache/timings $(SLIPWAY_TEST_MISSING)
	@tools/timed unit      $(MAKE) --no-print-directory test-unit
	@tools/timed network   $(MAKE) --no-print-directory test-net
	@tools/timed servers   $(MAKE) --no-print-directory test-servers
	@tools/timed rehearsal $(MAKE) --no-print-directory test-rehearse
	@tools/timed fuzz      $(MAKE) --no-print-directory fuzz
	@tools/timed lint      $(MAKE) --no-print-directory lint
	@tools/timed --sum

NET := ./internal/netlab ./rehearsal

test-unit: ## unit tests with the race detector
	$(GO) test -race -shuffle=on -skip '^TestDrill$$' $$($(GO) list ./... | grep -v -E '/(internal/netlab|rehearsal)$$')

test-net: ## tests in network namespaces of their own, and the drill of both balancers, which measures
	$(GO) test -race -shuffle=on $(NET)
	$(GO) test ./loadbalancer -run '^TestDrill$$'

test-servers: ## real servers, unpacked into a cache: DNS servers to compare with, a Debian to be a services host, a kernel whose bridges know VLANs
	@tools/install --lists
	$(GO) test -tags servers ./dnsserver/... ./provision/services/remote
	$(GO) test -tags 'rehearse servers' -timeout 20m ./cmd/slipway -run 'Services?Hosts?' -skip ReplacesServicesHosts
	$(GO) test -tags servers ./loadbalancer -run 'OthersRead|NewerHAProxy'
	$(GO) test -tags servers ./provision/provider/qemu -run OnAKernelThatFilters

test-rehearse: build ## the examples through the real `up` and `down`
	@tools/install --lists
	$(GO) test -tags rehearse -timeout 20m -parallel 4 ./cmd/slipway -run Rehearse

SEEDS ?= 1 2 3 4 5
test-nightly: tools-test build ## what takes longer
	@tools/install --lists
	$(GO) test -race -shuffle=on -count=2 ./...
	$(GO) test -tags rehearse -count=5 -timeout 80m ./cmd/slipway -run Rehearse -skip 'RehearseCrashPoints|SurvivesKill'
	$(GO) test -tags nightly ./rehearsal/image -run ImageBoots
	$(GO) test -tags 'rehearse nightly' -timeout 20m ./cmd/slipway -run 'Rehearse(Machines|PrivateNetwork)(AsOrdinaryUser|ByUEFI|ByPXE|SurvivesKill|TellsWhoHangs)'
	for seed in $(SEEDS); do CRASH_SEED=$$seed $(GO) test -tags rehearse -timeout 40m -v ./cmd/slipway -run 'RehearseCrashPoints|SurvivesKill' || exit; done
	$(GO) test -tags 'servers nightly' -timeout 40m ./provision/services/remote -run ServicesMachine
	$(MAKE) --no-print-directory fuzz FUZZTIME=5m

FUZZTIME ?= 1000x
fuzz: ## every fuzz target, a thousand inputs each
	GO=$(GO) FUZZTIME=$(FUZZTIME) tools/fuzz

lint: ## format, vet, staticcheck and the rules of the house
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet -tags 'rehearse servers nightly filtering' ./...
	$(GO) tool -modfile=tools/go.mod staticcheck -tags 'rehearse servers nightly filtering' ./...
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/slipway
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/slipway

bench: ## benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

golden: ## rewrite golden files; read the diff like code
	$(GO) test $$(git grep -l 'flag.Bool("update"' -- '*_test.go' ':!cmd' ':!provision/spec' | xargs -n1 dirname | sort -u | sed 's,^,./,') -update

docs: ## the pages that are generated from code
	$(GO) test ./cmd/slipway ./provision/spec -run TestReference -update
	$(GO) test ./provision/plan -run TestSchema -update

tools: ## install the client tools that are missing
	@tools/install

tools-test: ## and QEMU and xorriso, for the tests
	@tools/install --tests

clean:
	rm -rf bin .cache
