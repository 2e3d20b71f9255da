# The one door to everything that is done with this repository. Each target does all of its own set-up, on a bare Debian
# machine with Rust as well as on yours; .ci/run calls the same ones.
#
#   make demo              a legacy API with the gateway in front of it, and three lines to paste
#   make test              all that must hold: lint, and every test
#   make lint              formatting, clippy, rustdoc, dependencies
#   make docs              the documentation as a site, below target/docs; no link, command or configuration in it is stale,
#                          and no key, code, metric or field of the log is missing
#   make site-check        the site in a browser, on a desktop and on a phone, in light and dark
#   make bench             what a page costs, side by side with what one would do instead; QUICK=1 takes minutes
#   make quick             the quick part of `make test` for a change of the core: about a minute
#   make soak SECONDS=60   the simulator for so long, from a seed that it prints; `cargo sim --help` has its other commands
#   make restarts          clients that walk through 200 reloads, upgrades and rolling restarts: some minutes
#   make live-crowd        2,000 subscribers of one live page: one request to the upstream for all of them
#   make exports           an export of a million rows while they change, whose process is killed twenty times: half an hour
#   make crowd             10,000 clients at a time in front of a slow upstream: a minute; prints the times of the gateway
#   make dist              the files of a release below target/dist, the same bytes wherever they are made: RELEASING.md
#   make dist-check        makes them a second time, elsewhere, and compares; installs the Debian package and runs it
#   make image             the container image, by Docker or Podman
#   make image-check       builds the image by buildah, where need be without a registry, and runs it
#   make fuzz SECONDS=60   whatever comes from outside and is read byte by byte, for so long
#   make mutants           faults planted in the core, one at a time, and which of its tests notice; NAMES="a b" plants those
#   make test-env          the third-party servers and client libraries of the end-to-end tests, below target/
#   make clean-test-env    removes them

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := test

SECONDS ?= 60
# Not empty: fewer rounds, a smaller table.
QUICK ?=
# Of the benchmark: page, cache, depth, drift, memory, micro; empty: all of them.
PARTS ?=
# Empty: another one each time.
SEED ?=
# Of the faults that are planted; empty: all of them.
NAMES ?=
# A binary to compare that of the image with; empty: none.
BINARY ?=

comma := ,

CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_DEB_VERSION := 3.8.0
CARGO_CYCLONEDX_VERSION := 0.5.9

TEST_ENV := $(CURDIR)/target/test-env
export CURSORGATE_TEST_ENV := $(TEST_ENV)

# The version is in the path, so that another one is another file.
DENY_ROOT := $(CURDIR)/target/tools/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(DENY_ROOT)/bin/cargo-deny

FUZZ_ROOT := $(CURDIR)/target/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)
CARGO_FUZZ := $(FUZZ_ROOT)/bin/cargo-fuzz
DEB_ROOT := $(CURDIR)/target/tools/cargo-deb-$(CARGO_DEB_VERSION)
CARGO_DEB := $(DEB_ROOT)/bin/cargo-deb

CYCLONEDX_ROOT := $(CURDIR)/target/tools/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)
CARGO_CYCLONEDX := $(CYCLONEDX_ROOT)/bin/cargo-cyclonedx

DIST := $(CURDIR)/target/dist

FUZZED := scan cursor link

BENCH_EXPRESS := $(CURDIR)/target/bench/express
BENCH_QUICK := $(filter-out 0,$(QUICK))
BENCH_PROFILE := $(if $(BENCH_QUICK),quick,release)

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

# What is only run here links Debian's OpenSSL where that can be had: building it takes minutes.
# Tests, and whatever cargo builds without this file, have it built in.
demo bench: export OPENSSL_NO_VENDOR = $(shell pkg-config --exists openssl 2>/dev/null && echo 1 || echo 0)

.PHONY: demo
demo: build-needs openssl-needs
	cargo run --release --locked -- demo

.PHONY: test
test: lint site-check test-env
	tests/all.sh

.PHONY: docs
docs: site build-needs
	cargo test --quiet --locked --test tidy documents::
	@# Every key, metric and field of the log.
	cargo test --quiet --locked --lib documented
	@echo "target/docs/index.html"

# A warning is an error: a link that leads nowhere, also to a heading, and a page that no other one leads to. Pages load
# nothing from elsewhere. The site is made anew, for pages that did not change may have links to those that did.
.PHONY: site
site: $(TEST_ENV)/docs.installed
	rm -rf target/docs
	"$(TEST_ENV)/docs/bin/sphinx-build" --quiet --conf-dir docs/site --fail-on-warning --keep-going --doctree-dir "$(TEST_ENV)/docs/doctrees" \
		--fresh-env --builder html . target/docs
	@! grep --recursive --include='*.html' --only-matching --extended-regexp '<(script|link|img|iframe|source)[^>]+(src|href)="(https?:)?//[^"]*"' target/docs
	@! grep --recursive --include='*.css' --only-matching --extended-regexp '(@import|url\()[^;)]*//[^;)]*' target/docs

# The site in a browser: no page is wider than a phone, none loads anything from elsewhere, and those that people meet first
# are audited, in light and dark. Their screenshots are below target/site.
.PHONY: site-check
site-check: site $(TEST_ENV)/browser.installed
	cd "$(TEST_ENV)/browser" && node --input-type=module - "$(CURDIR)/target/docs" "$(CURDIR)/target/site" \
		<"$(CURDIR)/tests/end_to_end/browser/site.mjs"

.PHONY: lint
lint: build-needs $(CARGO_DENY)
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || rustup component add rustfmt clippy
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@# The gateway alone.
	cargo clippy --locked --package cursorgate --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --package cursorgate --package cursorgate-core --package cursorgate-cursor --package cursorgate-link
	@# The fuzzers are a workspace of their own, with a lock of its own: here it is seen that they still build.
	RUSTFLAGS="--cfg fuzzing" cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz-check
	"$(CARGO_DENY)" --locked check bans licenses sources
	@# The advisory database is a Git repository: the one thing here that can't come from a package registry.
	@if timeout 60 "$(CARGO_DENY)" --locked fetch db >/dev/null 2>&1; then \
		"$(CARGO_DENY)" --locked check --disable-fetch advisories; \
	else \
		echo "SKIPPED: cargo deny check advisories (the advisory database can't be fetched from here)"; \
	fi

# Built as the tests are, whose parts are rebuilt in seconds: `cargo sim` takes longer to build, and walks twice as fast.
.PHONY: quick
quick:
	cargo fmt --check
	cargo clippy --locked --package cursorgate-core --package cursorgate-sim --all-targets -- -D warnings
	cargo test --locked --package cursorgate-core --lib -- --quiet
	cargo run --locked --package cursorgate-sim -- walk --walks 20000

.PHONY: soak
soak:
	cargo sim soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: live-crowd
live-crowd: build-needs
	cargo test --locked --test end_to_end -- --ignored --exact live::one_request_serves_two_thousand_subscribers

.PHONY: crowd
crowd: build-needs
	cargo test --locked --test faults -- --ignored --exact --nocapture crowd::ten_thousand_clients_at_a_slow_upstream

.PHONY: restarts
restarts: build-needs
	cargo test --locked --test end_to_end -- --ignored --exact --nocapture restarts::clients_notice_no_change_at_length

# CURSORGATE_EXPORT_ROWS is the number of rows; each store has a run of its own.
.PHONY: exports
exports: build-needs
	cargo test --locked --test end_to_end -- --ignored --nocapture --test-threads=1 exports::million::

# The copy that is spoilt, and what is built of it, is below target/mutants. MUTANT_WALKS, MUTANT_SECONDS and
# MUTANT_GUARANTEES are passed on: crates/mutants/src/main.rs. The results are in crates/mutants/RESULTS.md.
.PHONY: mutants
mutants: build-needs
	cargo run --quiet --locked --package cursorgate-mutants -- $(NAMES)

# What was found before is below target/ and tried again first; an input that fails is printed, and kept there. Address
# sanitizers take a nightly compiler: without them, coverage guides the search all the same.
.PHONY: fuzz
fuzz: build-needs $(CARGO_FUZZ)
	@$(call need,command -v c++,build-essential)
	for target in $(FUZZED); do \
		mkdir -p target/fuzz/corpus/$$target target/fuzz/failed/$$target; \
		PATH="$(FUZZ_ROOT)/bin:$$PATH" cargo fuzz run --sanitizer none --fuzz-dir fuzz --target-dir target/fuzz $$target \
			target/fuzz/corpus/$$target fuzz/seeds/$$target -- -dict=fuzz/json.dict -max_len=8192 -len_control=20 \
			-artifact_prefix=target/fuzz/failed/$$target/ -max_total_time=$$(($(SECONDS) / $(words $(FUZZED)) + 1)) \
			-verbosity=0 -print_final_stats=1 2>&1 | sed "/^#* Recommended/,/^#* End of recommended/d"; \
	done

# One build takes a quarter of an hour on two cores that do nothing else.
.PHONY: dist
dist: dist-needs
	PATH="$(DEB_ROOT)/bin:$(CYCLONEDX_ROOT)/bin:$$PATH" deploy/dist.sh "$(DIST)"

.PHONY: dist-check
dist-check: dist-needs package-needs
	PATH="$(DEB_ROOT)/bin:$(CYCLONEDX_ROOT)/bin:$$PATH" tests/deploy/dist.sh "$(DIST)"

.PHONY: image
image:
	engine=$$(command -v docker || command -v podman) || { echo "missing, please install docker or podman" >&2; exit 1; }; \
	"$$engine" build --tag cursorgate --build-arg SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" \
		--build-arg CURSORGATE_COMMIT="$$(git rev-parse --short=12 HEAD)" .

.PHONY: image-check
image-check: package-needs
	@$(call need,command -v buildah,buildah crun)
	BINARY="$(BINARY)" tests/deploy/image.sh

# What is measured, and how, is said in benches/README.md; benches/compare.py compares two runs. The servers are installed
# while the binaries are built; these are kept apart, for cargo builds others in their place.
.PHONY: bench
bench: build-needs openssl-needs
	if pkg-config --exists libzstd; then export ZSTD_SYS_USE_PKG_CONFIG=1; fi; \
	$(MAKE) --no-print-directory bench-servers & servers=$$!; \
	cargo build --profile $(BENCH_PROFILE) --locked --package cursorgate --package bare-pingora --bins; \
	wait $$servers
	mkdir -p target/bench/bin
	cp -f $(addprefix target/$(BENCH_PROFILE)/,cursorgate bare-pingora) target/bench/bin
	python3 benches/bench.py $(if $(BENCH_QUICK),--quick) $(PARTS)

.PHONY: bench-servers
bench-servers: bench-needs $(TEST_ENV)/python.installed $(BENCH_EXPRESS).installed | postgres-needs redis-needs

.PHONY: test-env
test-env: $(TEST_ENV)/python.installed $(TEST_ENV)/json-server.installed $(TEST_ENV)/walkers.installed $(TEST_ENV)/guides.installed $(TEST_ENV)/browser.installed $(TEST_ENV)/promtool.installed $(TEST_ENV)/deploy.installed $(TEST_ENV)/sdk.installed $(TEST_ENV)/webhooks.installed $(TEST_ENV)/graphql.installed $(TEST_ENV)/live.installed $(TEST_ENV)/mcp.installed | postgres-needs redis-needs systemd-needs jq-needs

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

# Elsewhere than on Debian it is looked for, and else built.
.PHONY: openssl-needs
openssl-needs:
	@if command -v apt-get >/dev/null; then $(call need,pkg-config --exists openssl libzstd,pkg-config libssl-dev libzstd-dev) fi

.PHONY: python-needs
python-needs:
	@$(call need,python3 -c 'import ensurepip$(comma) venv',python3 python3-venv)

.PHONY: postgres-needs
postgres-needs:
	@$(call need,command -v postgres || ls /usr/lib/postgresql/*/bin/postgres,postgresql)

# Debian's package starts a server where there is systemd; the tests start their own.
.PHONY: redis-needs
redis-needs:
	@$(call need,command -v redis-server && command -v setpriv,redis-server util-linux)

# The programs of examples/clients.
.PHONY: jq-needs
jq-needs:
	@$(call need,command -v jq && command -v curl,jq curl)

.PHONY: node-needs
node-needs:
	@$(call need,command -v node && command -v npm,nodejs npm)

# A browser without windows, and fonts for it: pages are opened in it, and names in the demo are Chinese and Hindi too. The
# driver from npm brings none.
.PHONY: browser-needs
browser-needs:
	@$(call need,command -v chromium-headless-shell || command -v chromium,chromium-headless-shell)
	@$(call need,fc-list :lang=zh | grep . && fc-list :lang=hi | grep .,fontconfig fonts-dejavu-core fonts-wqy-microhei fonts-lohit-deva)

# For systemd-analyze; it need not run.
.PHONY: systemd-needs
systemd-needs:
	@$(call need,command -v systemd-analyze,systemd)

.PHONY: dist-needs
dist-needs: build-needs $(CARGO_DEB) $(CARGO_CYCLONEDX)
	@$(call need,command -v dpkg-shlibdeps && command -v objdump,dpkg-dev binutils)

.PHONY: package-needs
package-needs:
	@$(call need,command -v lintian && command -v mmdebstrap,lintian mmdebstrap)

.PHONY: bench-needs
bench-needs: node-needs
	@$(call need,command -v nginx,nginx-light)
	@$(call need,ls /usr/lib/nginx/modules/ngx_http_lua_module.so,libnginx-mod-http-lua)
	@$(call need,ls /usr/lib/*/lua/5.1/cjson.so,lua-cjson)
	@$(call need,command -v wrk,wrk)
	@$(call need,command -v varnishd,varnish)

$(TEST_ENV)/python.installed: tests/end_to_end/requirements.txt | python-needs
	rm -rf "$(TEST_ENV)/python"
	python3 -m venv "$(TEST_ENV)/python"
	"$(TEST_ENV)/python/bin/pip" install --quiet --disable-pip-version-check --requirement $<
	touch $@

# $(call npm-packages,NAME): what a package.json and its lock name, below the environment.
define npm-packages
	rm -rf "$(TEST_ENV)/$(1)"
	mkdir -p "$(TEST_ENV)/$(1)"
	cp $^ "$(TEST_ENV)/$(1)"
	cd "$(TEST_ENV)/$(1)" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@
endef

# $(call npm-and-python-packages,NAME): the same, and beside it what a requirements.txt names, in python.
define npm-and-python-packages
	rm -rf "$(TEST_ENV)/$(1)"
	mkdir -p "$(TEST_ENV)/$(1)"
	python3 -m venv "$(TEST_ENV)/$(1)/python"
	"$(TEST_ENV)/$(1)/python/bin/pip" install --quiet --disable-pip-version-check --requirement $(filter %.txt,$^)
	cp $(filter %.json,$^) "$(TEST_ENV)/$(1)"
	cd "$(TEST_ENV)/$(1)" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@
endef

# promtool alone is taken from Debian's package of Prometheus, whose installation would start a server.
$(TEST_ENV)/promtool.installed:
	rm -rf "$(TEST_ENV)/promtool"
	mkdir -p "$(TEST_ENV)/promtool"
	if ! command -v promtool >/dev/null; then \
		command -v apt-get >/dev/null || { echo "missing, please install promtool, a part of Prometheus" >&2; exit 1; }; \
		root=; [ "$$(id -u)" = 0 ] || root=sudo; \
		$$root apt-get update -qq </dev/null; \
		cd "$(TEST_ENV)/promtool"; \
		apt-get download -qq prometheus 2>/dev/null; \
		dpkg-deb --extract prometheus_*.deb .; \
		rm -rf prometheus_*.deb usr/share etc lib var usr/bin/prometheus; \
	fi
	touch $@

DEPLOY := tests/deploy
$(TEST_ENV)/deploy.installed: $(DEPLOY)/package.json $(DEPLOY)/package-lock.json $(DEPLOY)/requirements.txt | node-needs python-needs
	rm -rf "$(TEST_ENV)/deploy"
	mkdir -p "$(TEST_ENV)/deploy/node"
	python3 -m venv "$(TEST_ENV)/deploy/python"
	"$(TEST_ENV)/deploy/python/bin/pip" install --quiet --disable-pip-version-check --requirement $(DEPLOY)/requirements.txt
	cp $(DEPLOY)/package.json $(DEPLOY)/package-lock.json "$(TEST_ENV)/deploy/node"
	cd "$(TEST_ENV)/deploy/node" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

$(TEST_ENV)/docs.installed: docs/site/requirements.txt | python-needs
	rm -rf "$(TEST_ENV)/docs"
	python3 -m venv "$(TEST_ENV)/docs"
	"$(TEST_ENV)/docs/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

SDK := tests/end_to_end/sdk
$(TEST_ENV)/sdk.installed: $(SDK)/package.json $(SDK)/package-lock.json $(SDK)/requirements.txt | node-needs python-needs
	$(call npm-and-python-packages,sdk)

LIVE := tests/end_to_end/live
$(TEST_ENV)/live.installed: $(LIVE)/package.json $(LIVE)/package-lock.json $(LIVE)/requirements.txt | node-needs python-needs
	$(call npm-and-python-packages,live)

MCP := tests/end_to_end/mcp
$(TEST_ENV)/mcp.installed: $(MCP)/package.json $(MCP)/package-lock.json $(MCP)/requirements.txt | node-needs python-needs
	$(call npm-and-python-packages,mcp)

JSON_SERVER := tests/end_to_end/upstreams/json-server
$(TEST_ENV)/json-server.installed: $(JSON_SERVER)/package.json $(JSON_SERVER)/package-lock.json | node-needs
	$(call npm-packages,json-server)

WALKERS := tests/end_to_end/walkers
$(TEST_ENV)/walkers.installed: $(WALKERS)/package.json $(WALKERS)/package-lock.json | node-needs
	$(call npm-packages,walkers)

# The packages are those that readers of the examples install.
CLIENTS := examples/clients
$(TEST_ENV)/guides.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json tests/end_to_end/guides/requirements.txt | node-needs python-needs
	$(call npm-and-python-packages,guides)

WEBHOOKS := tests/end_to_end/webhooks
$(TEST_ENV)/webhooks.installed: $(WEBHOOKS)/package.json $(WEBHOOKS)/package-lock.json | node-needs
	$(call npm-packages,webhooks)

GRAPHQL := tests/end_to_end/graphql
$(TEST_ENV)/graphql.installed: $(GRAPHQL)/package.json $(GRAPHQL)/package-lock.json | node-needs
	$(call npm-packages,graphql)

BROWSER := tests/end_to_end/browser
$(TEST_ENV)/browser.installed: $(BROWSER)/package.json $(BROWSER)/package-lock.json | node-needs browser-needs
	$(call npm-packages,browser)

EXPRESS := benches/peers/express
$(BENCH_EXPRESS).installed: $(EXPRESS)/package.json $(EXPRESS)/package-lock.json | node-needs
	rm -rf "$(BENCH_EXPRESS)"
	mkdir -p "$(BENCH_EXPRESS)"
	cp $^ "$(BENCH_EXPRESS)"
	cd "$(BENCH_EXPRESS)" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

$(CARGO_DENY): | build-needs
	cargo install --quiet --locked --root "$(DENY_ROOT)" --version $(CARGO_DENY_VERSION) cargo-deny

$(CARGO_DEB): | build-needs
	cargo install --quiet --locked --root "$(DEB_ROOT)" --version $(CARGO_DEB_VERSION) cargo-deb

$(CARGO_CYCLONEDX): | build-needs
	cargo install --quiet --locked --root "$(CYCLONEDX_ROOT)" --version $(CARGO_CYCLONEDX_VERSION) cargo-cyclonedx

$(CARGO_FUZZ): | build-needs
	cargo install --quiet --locked --root "$(FUZZ_ROOT)" --version $(CARGO_FUZZ_VERSION) cargo-fuzz
