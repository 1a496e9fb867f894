# What people type. `make` alone says what there is.

# The Debian packages some tests need, and the program each brings. Without root or apt they are only asked for.
TEST_PACKAGES := nginx:nginx wrk:wrk nghttp2-client:h2load curl:curl python3:python3 nodejs:node
# Optimised enough to be honest about memory and CPU, with debug assertions, and quick to build.
TEST_PROFILE := quick

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help run test bench loadtest lint fmt test-packages

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start the demo on http://127.0.0.1:8081
	cargo run --release -- demo

test: test-packages lint ## Lint, then run every test on both drivers
	cargo test --workspace --profile $(TEST_PROFILE) --no-fail-fast 2>&1 | awk ' \
		{ print; fflush() } \
		/^test result:/ { passed += $$4; failed += $$6; ignored += $$8 } \
		END { printf "\nAll together: %d passed, %d failed, %d ignored\n", passed, failed, ignored }'

bench: ## Micro-benchmarks of parsing, framing and routing
	cargo bench --workspace

loadtest: ## Scenarios against peers on this machine; see loadtest/README.md
	cargo build --release
	cargo run --release -p loadtest -- compare --quick

lint: ## Formatting and clippy, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --profile $(TEST_PROFILE) -- -D warnings

fmt: ## Format the sources
	cargo fmt --all

test-packages:
	@missing=""; \
	for pair in $(TEST_PACKAGES); do \
		PATH="$$PATH:/usr/sbin" command -v "$${pair#*:}" >/dev/null 2>&1 || missing="$$missing $${pair%:*}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
		echo "Not installed:$$missing. Tests that need them are skipped and say so (sudo apt-get install$$missing)."; \
		exit 0; \
	fi; \
	echo "Installing for the tests:$$missing"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
