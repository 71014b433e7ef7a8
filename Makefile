# Unio. `make` lists the targets. Tools come from tools/go.mod; nothing needs to be installed but Go, and for the
# interoperability tests Debian's mosquitto-clients, openssl, haproxy, chromium, Node.js and npm.

TOOL = go tool -modfile=tools/go.mod
FUZZTIME ?= 20s
GO_PACKAGES = $$(go list -f '{{.Dir}}' ./...)

.DEFAULT_GOAL := help
ROUNDS ?= 100
PLATFORMS = windows/amd64 darwin/arm64 freebsd/amd64 linux/386 linux/arm
.PHONY: help build test race lint platforms fmt fuzz benchcheck compare growth durable second conformance interop windows crash check

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build bin/unio
	CGO_ENABLED=0 go build -trimpath -o bin/unio ./cmd/unio

test: ## run all tests
	go test ./...

race: ## run all tests with the race detector, the interoperability tests against a broker that has it too
	go test -race ./...

lint: ## look for formatting, vet, and linter findings
	@out=$$($(TOOL) gofumpt -l $(GO_PACKAGES)); test -z "$$out" || { echo "not gofumpt-clean:"; echo "$$out"; exit 1; }
	@other=$$(git ls-files '*node_modules/*' | head -1); test -z "$$other" || { echo "other people's files are committed: $$other"; exit 1; }
	go vet ./...
	$(TOOL) golangci-lint run ./...

platforms: ## vet what is built for other systems and processors
	@for p in $(PLATFORMS); do echo "go vet for $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go vet ./... || exit 1; done

fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

fuzz: ## run each fuzz target for FUZZTIME (20s)
	tools/fuzz.sh $(FUZZTIME)

benchcheck: ## compare benchmarks with bench/baseline.txt: more allocations, or much more time, is a failure
	bench/check.sh

compare: ## measure Unio beside other brokers and write docs/benchmarks/README.md; COMPARE=-quick for a look
	go run ./bench/compare $(COMPARE)

growth: ## measure how costs grow, and fairness, and write docs/benchmarks/growth.md
	go run ./bench/compare -growth $(COMPARE)

durable: ## measure what durability costs and write docs/benchmarks/durable.md
	go run ./bench/compare -durable $(COMPARE)

second: ## have mosquitto_pub, mosquitto_sub and tsung (Debian's) measure Unio and mosquitto, and write docs/benchmarks/second.md
	go run ./bench/compare -second $(COMPARE)

conformance: build ## run the .mqtt scripts over a socket against bin/unio
	tools/conformance.sh

interop: ## drive other people's clients against unio; a missing tool is a failure
	UNIO_REQUIRE_INTEROP=1 go test -count=1 ./internal/interop/...

windows: ## run the Windows build and its service under Wine (Debian's wine and gcc-mingw-w64-x86-64)
	tools/windows.sh

crash: build ## kill the broker ROUNDS (100) times, then cut its power as often: nothing acknowledged may be lost
	go run ./internal/crash -rounds $(ROUNDS)
	go run ./internal/crash -rounds $(ROUNDS) -power

check: lint platforms race conformance interop ## everything that .ci/run asks for besides go test ./...
