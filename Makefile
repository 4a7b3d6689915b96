# Everything a contributor runs. `make` alone prints this help.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI_VERSION := v2.15.0
GOLANGCI := bin/golangci-lint-$(GOLANGCI_VERSION)
# What a test run may take in all; one package never comes near it.
TEST_TIMEOUT ?= 15m
# SQLite and QuickJS translated to Go are most of what the tests execute and none
# of what they look for races in: left out, tests of what is stored take half as long.
UNRACED := -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libquickjs=-race=false

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and serve on 127.0.0.1:8000
	bin/agentstudio serve

.PHONY: dev
dev: ## serve from source with readable logs; data in ./data
	go run ./cmd/agentstudio serve --log-level debug --data-dir data

# The web studio is built when its sources have changed and Node is there;
# without Node the binary still builds, and says at / what is missing.
NODE := $(shell node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && echo yes)
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/vite.config.ts web/package.json $(wildcard examples/*.yaml)

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npx vite build --logLevel warn
	@touch $@

.PHONY: web
web: $(if $(NODE),web/dist/index.html) ## build the web studio, where Node 20 or newer is installed
	@$(if $(NODE),true,echo "Node 20 or newer is not installed: building without the web studio" >&2)

.PHONY: build
build: web ## build bin/agentstudio
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/agentstudio ./cmd/agentstudio

.PHONY: web-dev
web-dev: web/node_modules/.package-lock.json ## serve the pages from source on 127.0.0.1:5173, beside make dev
	cd web && npx vite

.PHONY: seed
seed: build ## load the examples into the local studio
	bin/agentstudio seed

.PHONY: test
test: test-web ## all tests with race detection, on SQLite and a real PostgreSQL; prints coverage
	scripts/with-services go test -race $(UNRACED) -timeout $(TEST_TIMEOUT) -coverpkg=./internal/... -coverprofile=coverage.out ./...
	@scripts/coverage coverage.out

.PHONY: test-web
test-web: web/node_modules/.package-lock.json ## the web studio's unit tests
	cd web && npx vitest run

.PHONY: e2e
e2e: build ## the built binary in a real browser (Chromium), on a throw-away data directory
	cd web && npx playwright test

.PHONY: pictures
pictures: build ## take the pictures of the guide anew
	cd web && PICTURES=../docs/images npx playwright test pages.spec.ts -g serious

test/mcp/node_modules/.package-lock.json: test/mcp/package.json test/mcp/package-lock.json
	cd test/mcp && npm ci --no-audit --no-fund
	@touch $@

.PHONY: mcp
mcp: build test/mcp/node_modules/.package-lock.json ## the built binary against the official MCP conformance suite, servers and inspector
	go run ./test/mcp -binary bin/agentstudio -modules test/mcp/node_modules

test/sdk/node_modules/.package-lock.json: test/sdk/package.json test/sdk/package-lock.json
	cd test/sdk && npm ci --no-audit --no-fund
	@touch $@

.PHONY: sdk
sdk: build test/sdk/node_modules/.package-lock.json ## the built binary against the official clients of OpenAI and Anthropic
	node test/sdk/main.mjs bin/agentstudio

.PHONY: lint
lint: $(GOLANGCI) lint-web ## formatting, vet and the linters of .golangci.yml; the types of the web studio
	$(GOLANGCI) run ./...

.PHONY: lint-web
lint-web: web/node_modules/.package-lock.json
	cd web && npx tsc --noEmit

$(GOLANGCI):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

.PHONY: generate
generate: web/node_modules/.package-lock.json ## write the generated files anew: OpenAPI document, its types, configuration reference
	go run ./cmd/agentstudio openapi > docs/reference/openapi.gen.json
	go run ./cmd/agentstudio config --reference > docs/reference/configuration.gen.md
	cd web && npx openapi-typescript ../docs/reference/openapi.gen.json -o src/api/schema.gen.ts --alphabetize

.PHONY: stale
stale: generate
	@git diff --exit-code -- docs/reference web/src/api/schema.gen.ts || { echo "generated files are stale: run make generate and commit" >&2; exit 1; }
	@go mod tidy -diff

.PHONY: check
check: stale lint build test e2e mcp sdk ## what CI runs: generated files, linters, build, tests, coverage

.PHONY: bench
bench: build ## measure the engine on the built binary, on SQLite and PostgreSQL; see bench/README.md
	go run ./bench/engine -binary bin/agentstudio
	scripts/with-services bash -c 'go run ./bench/engine -binary bin/agentstudio -database "$$TEST_DATABASE_URL"'
	scripts/with-services go test -run '^$$' -bench ChainOfTen -benchtime 8000x ./internal/engine

.PHONY: load
load: build ## many readers, listeners and idle sessions on the built binary, on SQLite and PostgreSQL
	go run ./bench/load -binary bin/agentstudio
	scripts/with-services bash -c 'go run ./bench/load -binary bin/agentstudio -database "$$TEST_DATABASE_URL"'

.PHONY: chaos
chaos: build ## kill servers and workers, and break what they stand on, while they work; count what is lost or runs again
	go run ./bench/chaos -binary bin/agentstudio -kills 20
	go run ./bench/chaos -binary bin/agentstudio -accept -kills 20 -executions 20
	scripts/with-services bash -c 'go run ./bench/chaos -binary bin/agentstudio -database "$$TEST_DATABASE_URL" -kills 18 -freezes 2 -executions 40'
	for fault in postgres redis disk stop clients; do go run ./bench/chaos -binary bin/agentstudio -fault $$fault -kills 6 || exit 1; done
