TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY_VERSION := 0.20.2
DEB_VERSION := 3.8.0
CYCLONEDX_VERSION := 0.5.9
# Version 2 of compose is a subcommand of docker. Version 1 is a separate program.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.DEFAULT_GOAL := help
.PHONY: help run up down image test test-api test-page test-deb soak faults fuzz chaos bench bench-ring experiments docs deb sbom pgo lint licences audit fmt clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-11s %s\n", $$1, $$2 }'

run: ## Build a release and serve with 3 replicas: data on port 5000, control on 5001
	cargo build --release --workspace
	@exec $(TARGET)/release/ringmaster serve

up: image ## The same in containers, from the image: docker-compose up
	$(COMPOSE) up -d

# Containers of a killed balancer stay on the network, and compose cannot remove a network in use.
down: ## Stop and remove the containers, including those of a killed balancer
	$(COMPOSE) stop
	docker ps -aq --filter label=ringmaster.fleet=$(or $(RINGMASTER_FLEET),ringmaster) | xargs -r docker rm -fv
	$(COMPOSE) down

image: ## Build the container image
	docker/base-image
	REVISION=$$(git describe --always --dirty --abbrev=40 2>/dev/null) CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) $(COMPOSE) build

# The tests start the replica from the directory of ringmaster, so the workspace is built first.
# Doc tests run first, because there may be none.
test: ## Build the workspace, then run every test
	cargo build --workspace
	cargo test --workspace --doc --quiet
	cargo test --workspace --all-targets --no-fail-fast

test-api: ## Check the answers of the control port against its own description, with schemathesis (ARGS=--seed=7 for other requests)
	cargo build --workspace
	tests/api/run $(ARGS)

test-page: ## Test the dashboard in a real browser (needs chromium and chromium-driver); pictures in target/page
	cargo build --workspace
	cargo test -p ringmaster --test dashboard -- --test-threads 2

# `cargo test` alone does not build the replica, so the workspace is built first. Both test programs
# are optimized, because the test generates and hashes as many bytes as the balancer moves.
soak: ## Transfer 4 GiB each way through a release and compare by hash (RINGMASTER_SOAK_GIB=N for another size)
	cargo build --release --workspace
	RINGMASTER_SOAK_GIB=$(or $(RINGMASTER_SOAK_GIB),4) cargo test --release --test e2e soak:: -- --test-threads 1

faults: ## Make replicas of a release fail in every way under load, and print the cost as a table
	cargo build --release --workspace
	RINGMASTER_FAULTS=all cargo test --release --test e2e faults:: -- --test-threads 1 --nocapture

fuzz: ## Feed every parser with mutated bytes, by libFuzzer (RUNS=10000000 each; ARGS=ring for one)
	RUNS=$(RUNS) SEED=$(SEED) tests/fuzz/run $(ARGS)

chaos: ## Kill, freeze, disconnect, add, remove and switch at random under load (SECONDS=600 SEED=N)
	cargo build --workspace
	RINGMASTER_CHAOS_SECONDS=$(or $(SECONDS),60) RINGMASTER_CHAOS_SEED=$(or $(SEED),1) \
	cargo test --test e2e chaos:: -- --test-threads 1 --nocapture

bench: ## Measure ringmaster, HAProxy and nginx side by side (about 40 minutes; ARGS=--quick for a trial)
	cargo build --release --workspace
	@exec $(TARGET)/release/loadgen duel $(or $(ARGS),--json $(TARGET)/bench.json --svg $(TARGET)/bench.svg)

experiments: ## Run the four experiments of the coursework; charts in target/experiments (ARGS=--seed=7 to repeat one)
	cargo build --release --workspace
	@exec $(TARGET)/release/loadgen all --spawn --out $(TARGET)/experiments $(ARGS)

bench-ring: ## Measure lookup and rebuild of every kind of ring, and the cost of a hostile expression
	cargo bench -p ringmaster --bench ring -- $(ARGS)

# The profile is that of the bench's own loads. That of the build scripts is removed before them. The
# compiler reads it in the form of its own LLVM.
pgo: ## Build target/pgo/release/ringmaster, guided by a profile: about 3 % less CPU (rustup component add llvm-tools)
	cargo build --release --workspace
	rm -rf $(TARGET)/pgo-profile
	RUSTFLAGS=-Cprofile-generate=$(abspath $(TARGET))/pgo-profile cargo build --release -p ringmaster --target-dir $(TARGET)/pgo-training
	rm -f $(TARGET)/pgo-profile/*.profraw
	$(TARGET)/release/loadgen duel --peer ringmaster --ringmaster $(TARGET)/pgo-training/release/ringmaster --rounds 1 --duration 2s \
	--scenario small --scenario close --scenario 16k --scenario 1m --scenario chunks
	"$$(rustc --print sysroot)/lib/rustlib/$$(rustc -vV | sed -n 's/^host: //p')/bin/llvm-profdata" \
	merge -o $(TARGET)/pgo-profile/merged.profdata $(TARGET)/pgo-profile
	RUSTFLAGS=-Cprofile-use=$(abspath $(TARGET))/pgo-profile/merged.profdata cargo build --release -p ringmaster --target-dir $(TARGET)/pgo

docs: ## Write the manual pages and shell completions into target/docs
	cargo build --release --workspace
	$(TARGET)/release/ringmaster docs $(TARGET)/docs

deb: docs ## Build a Debian package with the service, in target/debian (installs cargo-deb)
	@cargo deb --version >/dev/null 2>&1 || cargo install --locked cargo-deb@$(DEB_VERSION)
	cargo deb -p ringmaster --no-build

test-deb: deb ## Install the Debian package in a chroot, serve, purge (root; installs debootstrap)
	tests/deb/run

sbom: ## List the crates of each program (CycloneDX) in target/sbom (installs cargo-cyclonedx)
	@cargo cyclonedx --version >/dev/null 2>&1 || cargo install --locked cargo-cyclonedx@$(CYCLONEDX_VERSION)
	cargo cyclonedx --quiet --format json --spec-version 1.5 --override-filename sbom
	mkdir -p $(TARGET)/sbom
	mv sbom.json $(TARGET)/sbom/ringmaster.cdx.json
	mv replica/sbom.json $(TARGET)/sbom/replica.cdx.json
	mv loadgen/sbom.json $(TARGET)/sbom/loadgen.cdx.json

lint: licences ## Check formatting, clippy, docs, licences and sources; any warning is an error
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p ringmaster --test dashboard -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --document-private-items

licences: ## Check the licences, crates and sources of the lock file (part of lint)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny@$(DENY_VERSION)
	cargo deny --workspace --config .deny.toml check -D warnings licenses bans sources

# The advisories come over the network. A clone of them does without: make audit ADVISORIES=DIRECTORY.
audit: ## Check the crates against the RustSec advisories and count their unsafe code (installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny@$(DENY_VERSION)
	tests/audit/run $(ADVISORIES)

fmt: ## Format the sources
	cargo fmt --all

clean: ## Remove all build output
	cargo clean
