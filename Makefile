# Everything a person or CI runs here. `make` alone lists it.

PROVIDER := csi-secrets-store-provider-alibabacloud
EMULATOR := alibabacloud-emulator
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/csi-provider
VENV := $(CACHE)/official-clients-$(firstword $(shell sha256sum e2e/emulator/tests/requirements.txt))
ACTIONLINT_VERSION := 1.7.12
AUDITABLE_VERSION := 0.7.7
COSIGN_VERSION := 3.1.3
CRANE_VERSION := 0.22.1
ZIG_VERSION := 0.15.1
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2
MUTANTS_VERSION := 27.1.0
MDBOOK_VERSION := 0.5.4
MDBOOK_MERMAID_VERSION := 0.17.1
MDBOOK_I18N_VERSION := 0.4.0
RELEASE_VENV := $(CACHE)/release-$(firstword $(shell sha256sum release/requirements.txt))
# A clone of https://github.com/rustsec/advisory-db; `make advisories ADVISORY_DB=FOLDER` takes another.
ADVISORY_DB ?= $(or $(wildcard ../shared/data/advisory-db),$(CACHE)/advisory-db)
ACTIONLINT := $(CACHE)/actionlint-$(ACTIONLINT_VERSION)/actionlint
COSIGN := $(CACHE)/cosign-$(COSIGN_VERSION)/cosign
CRANE := $(CACHE)/crane-$(CRANE_VERSION)/crane
# The version that the tests on a real node use.
HELM := $(CACHE)/helm-$(firstword $(shell sha256sum e2e/cluster/tools/helm/go.sum))/helm
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
FUZZ := $(CACHE)/cargo-fuzz-$(FUZZ_VERSION)/bin/cargo-fuzz
# Prometheus and promtool: those of this machine, or of Debian's package, which is unpacked and not installed.
PROMETHEUS := $(or $(patsubst %/promtool,%,$(shell command -v promtool)),$(CACHE)/prometheus/usr/bin)
MUTANTS := $(CACHE)/cargo-mutants-$(MUTANTS_VERSION)/bin/cargo-mutants
MDBOOK := $(CACHE)/mdbook-$(MDBOOK_VERSION)/bin/mdbook
MDBOOK_MERMAID := $(CACHE)/mdbook-mermaid-$(MDBOOK_MERMAID_VERSION)/bin/mdbook-mermaid
MDBOOK_I18N := $(CACHE)/mdbook-i18n-helpers-$(MDBOOK_I18N_VERSION)/bin/mdbook-gettext
TARGET := $(or $(CARGO_TARGET_DIR),target)
DEBUG := $(TARGET)/debug
DIST := $(TARGET)/dist
ARCHS := amd64 arm64

.PHONY: help demo test test-release test-docs docs test-static toolchain lint unit official-clients bench bench-quick soak tenants \
  bench-programs simulate walkthroughs deny advisory-db advisories reproduce arm64 dist hardening contents release-check release release-rehearsal tools signing-tools tool-paths lint-workflows \
  fuzz-smoke mutants alerts dashboards e2e e2e-matrix e2e-up e2e-down

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

demo: toolchain ## three pods, a rotation and a refusal, on this machine, in seconds
	cargo build --locked --quiet --bin $(PROVIDER) --example demo
	cargo build --locked --quiet --package $(EMULATOR)
	$(DEBUG)/examples/demo

# Memory that comes free is used again at once: giving it back in between is a sixth of the time.
simulate: export MIMALLOC_PURGE_DELAY := -1
simulate: toolchain ## one to a thousand nodes against one account's quotas, in simulated time
	cargo build --locked --quiet --profile tools --example simulate
	$(TARGET)/tools/examples/simulate --draw docs/simulation --report docs/simulation.md
	$(TARGET)/tools/examples/simulate --part 10 --share service-account --report docs/simulation.md
	$(TARGET)/tools/examples/simulate --matrix --pods 30 --draw docs/simulation --report docs/simulation.md

test: lint test-release unit test-docs official-clients demo ## everything that a change must pass before review

# The fuzz targets are a workspace of their own; a change that breaks them is to be seen here, not an hour later.
lint: toolchain
	cargo fmt --all --check
	cargo fmt --manifest-path e2e/fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --manifest-path e2e/fuzz/Cargo.toml --target-dir $(TARGET) --all-targets -- -D warnings

unit: toolchain
	cargo test --locked --workspace

# The official Python SDKs, unmodified, against the emulator.
official-clients: $(VENV)/ready toolchain
	cargo build --locked --quiet --package $(EMULATOR)
	$(VENV)/bin/python e2e/emulator/tests/official_clients.py $(DEBUG)/$(EMULATOR)

test-docs: toolchain ## the pages of docs/: links, commands, manifests and messages, against the program
	cargo build --locked --quiet --bin $(PROVIDER)
	PROGRAM=$(abspath $(DEBUG))/$(PROVIDER) python3 -m unittest discover --start-directory book/tests

# SOURCE=URL of the repository, for links to its files.
docs: export PATH := $(dir $(MDBOOK)):$(dir $(MDBOOK_MERMAID)):$(dir $(MDBOOK_I18N)):$(PATH)
docs: $(MDBOOK) $(MDBOOK_MERMAID) $(MDBOOK_I18N) ## the site of docs/, into target/book, and whether each of its links leads somewhere
	book/build --output $(TARGET)/book $(if $(SOURCE),--source $(SOURCE))

$(MDBOOK):
	cargo install --locked --quiet --no-default-features --features search --root $(CACHE)/mdbook-$(MDBOOK_VERSION) mdbook@$(MDBOOK_VERSION)

$(MDBOOK_MERMAID):
	cargo install --locked --quiet --root $(CACHE)/mdbook-mermaid-$(MDBOOK_MERMAID_VERSION) mdbook-mermaid@$(MDBOOK_MERMAID_VERSION)

$(MDBOOK_I18N):
	cargo install --locked --quiet --root $(CACHE)/mdbook-i18n-helpers-$(MDBOOK_I18N_VERSION) mdbook-i18n-helpers@$(MDBOOK_I18N_VERSION)

# What it is of is in the folder's name.
$(VENV)/ready: | e2e/emulator/tests/requirements.txt
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --requirement e2e/emulator/tests/requirements.txt
	touch $@

test-static: toolchain ## the end-to-end tests against the program that ships: static, optimised, in the chart's memory
	e2e/tests/run-static "$$(deploy/image --program-only)"

bench: bench-programs ## figures against their targets, into docs/performance.md (5 minutes after the build)
	$(TARGET)/tools/examples/bench

bench-quick: bench-programs ## rough figures in a minute, to the screen alone
	$(TARGET)/tools/examples/bench --quick

soak: bench-programs ## 200,000 mounts of all kinds, and whether the provider grows by them
	$(TARGET)/tools/examples/bench --soak

tenants: bench-programs ## what tenants who ask for too much do to others, in the chart's limits (root, 8 minutes)
	$(TARGET)/tools/examples/bench --tenants --provider "$$(deploy/image --program-only)"

# The provider by itself: built beside an example it would get what only tests need of its crates.
bench-programs: toolchain
	cargo build --locked --quiet --release --bin $(PROVIDER)
	cargo build --locked --quiet --profile tools --package $(PROVIDER) --example bench \
	  --package $(EMULATOR) --bin $(EMULATOR)

deny: $(DENY) ## licences, sources, banned and duplicate crates, code that runs in the build
	$(DENY) --locked --workspace --config .cargo/deny.toml check bans licenses sources
	release/build-code

advisory-db: $(ADVISORY_DB)

advisories: $(ADVISORY_DB) toolchain ## advisories that apply to a locked crate and have no exception
	release/advisories --database $(ADVISORY_DB) --lock Cargo.lock --lock e2e/fuzz/Cargo.lock

$(CACHE)/advisory-db:
	git clone --quiet --depth 1 https://github.com/rustsec/advisory-db $@

reproduce: toolchain ## two builds of this commit that differ in all that must not count: the same programs and images (ARCH=arm64: only that)
	release/reproduce $(if $(ARCH),--arch $(ARCH))

arm64: toolchain ## the core of the end-to-end tests against the program for arm64, under emulation (qemu-user-static)
	e2e/tests/run-emulated "$$(deploy/image --arch arm64 --program-only)"

dist: toolchain ## the programs and images for both architectures and the index of the images, into target/dist
	rm -rf $(DIST) && mkdir -p $(DIST)
	set -e; for arch in $(ARCHS); do \
	  install -m 755 "$$(deploy/image --arch $$arch --program-only)" $(DIST)/$(PROVIDER)-linux-$$arch; \
	  deploy/image --arch $$arch --binary $(DIST)/$(PROVIDER)-linux-$$arch --output $(DIST)/image-$$arch.tar; \
	done
	release/join --output $(DIST)/image.tar $(ARCHS:%=$(DIST)/image-%.tar)

hardening: dist ## the programs and images that ship: static, PIE, RELRO, no executable stack, two files, under 10 MB
	set -e; for arch in $(ARCHS); do \
	  release/hardening --program $(DIST)/$(PROVIDER)-linux-$$arch --image $(DIST)/image-$$arch.tar; done

contents: dist $(ADVISORY_DB) $(RELEASE_VENV)/ready ## SBOMs, VEX and licences of the programs and images, validated
	release/contents --dist $(DIST) --database $(ADVISORY_DB)
	$(RELEASE_VENV)/bin/python release/contents --validate $(DIST)

release-check: contents ## version, changelog, documents, chart, SBOMs and digests agree; the figures of security
	release/check --dist $(DIST) --database $(ADVISORY_DB)

# REGISTRY=HOST/PATH, SOURCE=URL of the repository, KEY=cosign.key beside cosign.pub; COSIGN_PASSWORD opens the key.
# One on this machine has neither TLS nor a public log.
release: WHERE = --dist $(DIST) --registry $(REGISTRY) --source $(SOURCE) $(if $(filter 127.0.0.1:% localhost:%,$(REGISTRY)),--loopback)
release: export COSIGN := $(COSIGN)
release: export CRANE := $(CRANE)
release: export HELM := $(HELM)
release: test test-static arm64 deny advisories reproduce hardening contents $(COSIGN) $(CRANE) $(HELM) ## tests, builds, signs, pushes and verifies a tagged commit
	release/check --release --dist $(DIST) --database $(ADVISORY_DB)
	release/publish $(WHERE) --key $(KEY)
	release/publish --verify $(WHERE) --public $(KEY:.key=.pub)

release-rehearsal: export COSIGN := $(COSIGN)
release-rehearsal: export CRANE := $(CRANE)
release-rehearsal: export HELM := $(HELM)
release-rehearsal: contents $(COSIGN) $(CRANE) $(HELM) ## publishes to a registry on this machine, with a throw-away key, and what must be refused (Go)
	release/rehearse --dist $(DIST)

# For scripts: builds these, and says where they are.
tools: signing-tools $(HELM)

signing-tools: $(COSIGN) $(CRANE)

tool-paths:
	@echo 'export COSIGN=$(COSIGN) CRANE=$(CRANE) HELM=$(HELM)'

$(COSIGN):
	GOBIN=$(dir $@) go install github.com/sigstore/cosign/v3/cmd/cosign@v$(COSIGN_VERSION)

$(CRANE):
	GOBIN=$(dir $@) go install github.com/google/go-containerregistry/cmd/crane@v$(CRANE_VERSION)

$(HELM):
	cd e2e/cluster/tools/helm && go build -o $@ helm.sh/helm/v3/cmd/helm

lint-workflows: $(ACTIONLINT) $(RELEASE_VENV)/ready ## the workflows of .github (needs Go)
	$(ACTIONLINT)
	$(RELEASE_VENV)/bin/zizmor --offline --quiet .

$(ACTIONLINT):
	GOBIN=$(dir $@) go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)

test-release: ## the scripts of release/ and deploy/admission, each fault that they name, and the tables of docs/versions.md
	python3 -m unittest discover --start-directory release/tests

$(RELEASE_VENV)/ready: | release/requirements.txt
	python3 -m venv --clear $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/pip install --quiet --requirement release/requirements.txt
	touch $@

$(DENY):
	cargo install --locked --quiet --root $(CACHE)/cargo-deny-$(DENY_VERSION) cargo-deny@$(DENY_VERSION)

fuzz-smoke: $(FUZZ) ## twenty seconds of each fuzz target, without sanitizers so that stable Rust will do
	cd e2e/fuzz && for target in $$($(FUZZ) list --fuzz-dir .); do \
	  $(FUZZ) run --fuzz-dir . --sanitizer none $$target -- -max_total_time=20 -print_final_stats=1 || exit 1; done

$(FUZZ):
	cargo install --locked --quiet --root $(CACHE)/cargo-fuzz-$(FUZZ_VERSION) cargo-fuzz@$(FUZZ_VERSION)

# Against the unit tests first, but for the slowest, which reach none of it; what these let pass, against
# the end-to-end tests that are about it.
mutants: export CARGO_PROFILE_DEV_DEBUG := 0
mutants: $(MUTANTS) toolchain ## changes to the code that no test notices (hours; PART='--file src/value_cache.rs' for less)
	mkdir -p $(TARGET)
	-$(MUTANTS) mutants --output $(TARGET) --timeout 30 --cargo-arg=--lib $(PART) \
	  -- -- --skip server:: --skip admin::
	$(MUTANTS) mutants --output $(TARGET) --timeout 120 --iterate --cargo-arg=--test=e2e $(PART) \
	  -- -- identity:: sessions:: objects:: sharing:: debug:: refresh:: faults:: audit::

$(MUTANTS):
	cargo install --locked --quiet --root $(CACHE)/cargo-mutants-$(MUTANTS_VERSION) cargo-mutants@$(MUTANTS_VERSION)

alerts: $(PROMETHEUS)/promtool ## the chart's alerts, each firing and not firing (promtool)
	$(PROMETHEUS)/promtool check rules --lint=all --lint-fatal deploy/chart/rules/alerts.yaml
	$(PROMETHEUS)/promtool test rules deploy/alerts/tests.yaml

# DRAW=docs draws docs/dashboard.svg anew.
dashboards: alerts toolchain ## every query of the dashboard against a real Prometheus, over a run of 75 s
	cargo build --locked --quiet --bin $(PROVIDER) --example bench
	cargo build --locked --quiet --package $(EMULATOR)
	$(DEBUG)/examples/bench --provider $(DEBUG)/$(PROVIDER) --emulator $(DEBUG)/$(EMULATOR) \
	  --dashboard $(PROMETHEUS)/prometheus $(if $(DRAW),--draw $(DRAW))

$(CACHE)/prometheus/usr/bin/promtool:
	mkdir -p $(CACHE)/prometheus
	cd $(CACHE)/prometheus && apt-get download --quiet prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb

walkthroughs: toolchain ## follows CONTRIBUTING's walk-throughs in a copy, and counts the files that each touches
	e2e/walkthroughs.py

e2e: toolchain ## on a real Kubernetes node: kubelet, the real driver, the chart (root; the first time builds Kubernetes)
	e2e/cluster/run-tests

e2e-matrix: toolchain ## a few of them on other versions, into docs/versions.md (VERSIONS='1.37.2/1.6.0 ...'; builds each Kubernetes)
	e2e/cluster/matrix $(VERSIONS)

e2e-up: toolchain ## leaves such a node running, with a pod that has its secrets, to play with
	e2e/cluster/up

e2e-down: ## ends it
	e2e/cluster/down

# The version and components in rust-toolchain.toml; rustup may be set not to install by itself.
toolchain:
	@rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install
