# Everything a contributor runs. `make` alone prints this help.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI_VERSION := v2.15.0
GOLANGCI := bin/golangci-lint-$(GOLANGCI_VERSION)
# What a test run may take in all; one package never comes near it.
TEST_TIMEOUT ?= 15m

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and serve on 127.0.0.1:8000
	bin/agentstudio serve

.PHONY: dev
dev: ## serve from source with readable logs; data in ./data
	go run ./cmd/agentstudio serve --log-level debug --data-dir data

.PHONY: build
build: ## build bin/agentstudio
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/agentstudio ./cmd/agentstudio

.PHONY: seed
seed: build ## load the examples into the local studio
	bin/agentstudio seed

.PHONY: test
test: ## all tests with race detection, on SQLite and a real PostgreSQL; prints coverage
	scripts/with-services go test -race -timeout $(TEST_TIMEOUT) -coverpkg=./internal/... -coverprofile=coverage.out ./...
	@scripts/coverage coverage.out

.PHONY: lint
lint: $(GOLANGCI) ## formatting, vet and the linters of .golangci.yml
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

.PHONY: generate
generate: ## write the generated files anew: OpenAPI document, configuration reference
	go run ./cmd/agentstudio openapi > docs/reference/openapi.gen.json
	go run ./cmd/agentstudio config --reference > docs/reference/configuration.gen.md

.PHONY: stale
stale: generate
	@git diff --exit-code -- docs/reference || { echo "generated files are stale: run make generate and commit" >&2; exit 1; }
	@go mod tidy -diff

.PHONY: check
check: stale lint build test ## what CI runs: generated files, linters, build, tests, coverage

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
