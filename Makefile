# The one door to everything that is done with this repository. Each target does all of its own set-up, on a bare Debian
# machine with Rust as well as on yours; .ci/run calls the same ones.
#
#   make demo              a legacy API with the gateway in front of it, and three lines to paste
#   make test              all that must hold: lint, and every test
#   make lint              formatting, clippy, rustdoc, dependencies
#   make soak SECONDS=60   the simulator for so long, from a seed that it prints
#   make test-env          the third-party servers and client libraries of the end-to-end tests, below target/
#   make clean-test-env    removes them

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := test

SECONDS ?= 60
# Empty: another one each time.
SEED ?=

comma := ,

CARGO_DENY_VERSION := 0.20.2

TEST_ENV := $(CURDIR)/target/test-env
export CURSORGATE_TEST_ENV := $(TEST_ENV)

# The version is in the path, so that another one is another file.
DENY_ROOT := $(CURDIR)/target/tools/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(DENY_ROOT)/bin/cargo-deny

# $(call need,PROBE,PACKAGES): where the probe fails, installs Debian packages; elsewhere says which are missing.
define need
	if ! { $(1); } >/dev/null 2>&1; then \
		command -v apt-get >/dev/null || { echo "missing, please install what Debian calls: $(2)" >&2; exit 1; }; \
		root=; [ "$$(id -u)" = 0 ] || root=sudo; \
		echo "installing $(2)"; \
		$$root apt-get update -qq </dev/null; \
		DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends $(2) </dev/null >/dev/null; \
	fi
endef

.PHONY: demo
demo: build-needs
	cargo run --release --locked -- demo

.PHONY: test
test: lint test-env
	cargo test --locked

.PHONY: lint
lint: build-needs $(CARGO_DENY)
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || rustup component add rustfmt clippy
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	"$(CARGO_DENY)" --locked check bans licenses sources
	@# The advisory database is a Git repository: the one thing here that can't come from a package registry.
	@if timeout 60 "$(CARGO_DENY)" --locked fetch db >/dev/null 2>&1; then \
		"$(CARGO_DENY)" --locked check --disable-fetch advisories; \
	else \
		echo "SKIPPED: cargo deny check advisories (the advisory database can't be fetched from here)"; \
	fi

.PHONY: soak
soak: build-needs
	SOAK_SECONDS=$(SECONDS) SEED="$${SEED:-$$(date +%s)}" \
		cargo test --locked --release --test simulation soak -- --nocapture

.PHONY: test-env
test-env: $(TEST_ENV)/python.installed $(TEST_ENV)/json-server.installed | postgres-needs

.PHONY: clean-test-env
clean-test-env:
	rm -rf "$(TEST_ENV)"

# What building takes beside Rust: a C compiler, CMake for zlib-ng, and Perl for OpenSSL, which is built from source.
.PHONY: build-needs
build-needs:
	@command -v cargo >/dev/null || { echo "Rust is missing: https://rustup.rs" >&2; exit 1; }
	@$(call need,command -v cc && command -v make,build-essential)
	@$(call need,command -v cmake,cmake)
	@$(call need,perl -MFindBin -MIPC::Cmd -e 1,perl)

.PHONY: python-needs
python-needs:
	@$(call need,python3 -c 'import ensurepip$(comma) venv',python3 python3-venv)

.PHONY: postgres-needs
postgres-needs:
	@$(call need,command -v postgres || ls /usr/lib/postgresql/*/bin/postgres,postgresql)

.PHONY: node-needs
node-needs:
	@$(call need,command -v node && command -v npm,nodejs npm)

$(TEST_ENV)/python.installed: tests/end_to_end/requirements.txt | python-needs
	rm -rf "$(TEST_ENV)/python"
	python3 -m venv "$(TEST_ENV)/python"
	"$(TEST_ENV)/python/bin/pip" install --quiet --disable-pip-version-check --requirement $<
	touch $@

JSON_SERVER := tests/end_to_end/upstreams/json-server
$(TEST_ENV)/json-server.installed: $(JSON_SERVER)/package.json $(JSON_SERVER)/package-lock.json | node-needs
	rm -rf "$(TEST_ENV)/json-server"
	mkdir -p "$(TEST_ENV)/json-server"
	cp $^ "$(TEST_ENV)/json-server"
	cd "$(TEST_ENV)/json-server" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

$(CARGO_DENY): | build-needs
	cargo install --quiet --locked --root "$(DENY_ROOT)" --version $(CARGO_DENY_VERSION) cargo-deny
