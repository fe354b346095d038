# fluxgate's recipes. `./justw` runs them where just is missing.
set shell := ["bash", "-euo", "pipefail", "-c"]

export FLUXGATE_TEST_DATA := env("FLUXGATE_TEST_DATA", justfile_directory() / ".." / "shared" / "data")
cache := env("XDG_CACHE_HOME", env("HOME") / ".cache") / "fluxgate"
bin := env("CARGO_TARGET_DIR", justfile_directory() / "target") / "debug"
deny_version := "0.20.2"
machete_version := "0.9.2"
buf_version := "v1.75.0"

# List the recipes
default:
    @"{{ just_executable() }}" --list --unsorted

# The main job on real parts: a Flux release goes from a registry to three upgraded clusters, and three ways in which it does not (`--help` teaches)
demo *args:
    cargo build -p fluxgate -p cluster-agent -p integration-tests --bins
    @"{{ bin }}/demo" {{ args }}

# All tests: unit, property, golden, and the whole on real parts
test *args: tools
    cargo build --workspace --bins
    cargo test --workspace --quiet -- {{ args }}

# The tests of the whole alone, on real parts; one argument picks those with it in their name
it *args: tools
    cargo build --workspace --bins
    cargo test -p integration-tests --test it -- {{ args }}

# Measure on real parts: step, view, idle, pipeline, fleet, or all of them (`--help` teaches)
bench *args: tools
    cargo build --release -p fluxgate -p release-watcher -p signature-verifier -p policy-engine -p rollout-controller -p audit-log -p integration-tests --bins
    @"{{ bin }}/../release/bench" {{ args }}

# What a stock cosign and Tessera's fsck say about the releases and the ledger of the tests; builds both, once
peers:
    cargo build -p integration-tests --bin peers
    @"{{ bin }}/peers"

# Build the real parts of the lab into the cache, once
tools:
    cargo build -p fluxgate -p cluster-agent -p integration-tests --bins
    @"{{ bin }}/lab-tools"

# A hub on this machine: a nats-server, keys and all services in one process, state in one folder
dev *args:
    @cargo run --quiet -p fluxgate -- dev {{ args }}

# Format everything
fmt:
    cargo fmt --all

# Everything that CI checks without running a test
lint: proto deny machete
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- -D warnings

# Lint the protocol files with buf, and refuse what would break a client or a stored event
proto: buf
    "{{ cache }}/buf-{{ buf_version }}/buf" lint proto
    @"{{ cache }}/buf-{{ buf_version }}/buf" breaking proto --against proto/baseline.binpb || { echo "this breaks what proto/baseline.binpb has; take it back, or where proto/baseline.md allows it: just proto-accept REASON" >&2; exit 1; }

# Make today's protocol files what later ones are compared with; the reason is kept in proto/baseline.md
proto-accept reason: buf
    @test -n {{ quote(trim(reason)) }} || { echo "say why, in a few words" >&2; exit 1; }
    "{{ cache }}/buf-{{ buf_version }}/buf" build proto --exclude-source-info -o proto/baseline.binpb
    @printf -- '- %s: %s\n' "$(date -u +%F)" {{ quote(trim(reason)) }} >> proto/baseline.md

[private]
buf:
    @test -x "{{ cache }}/buf-{{ buf_version }}/buf" || { echo "Building buf {{ buf_version }}, once, about 1 min" >&2; GOBIN="{{ cache }}/buf-{{ buf_version }}" GOFLAGS= go install github.com/bufbuild/buf/cmd/buf@{{ buf_version }}; }

# Licences, sources, bans; advisories where their repository can be reached
deny: (cargo-tool "cargo-deny" deny_version)
    "{{ cache }}/cargo-deny-{{ deny_version }}/bin/cargo-deny" --log-level error check bans licenses sources
    @if "{{ cache }}/cargo-deny-{{ deny_version }}/bin/cargo-deny" --log-level off fetch db 2>/dev/null; then \
        "{{ cache }}/cargo-deny-{{ deny_version }}/bin/cargo-deny" --log-level error check advisories; \
    else \
        echo "NOT CHECKED: the advisory database can't be reached from here; its result is unknown, not clean" >&2; \
        test "${FLUXGATE_REQUIRE_ADVISORIES:-0}" != 1; \
    fi

# Dependencies that nobody uses
machete: (cargo-tool "cargo-machete" machete_version)
    "{{ cache }}/cargo-machete-{{ machete_version }}/bin/cargo-machete" --skip-target-dir .

[private]
cargo-tool name version:
    @test -x "{{ cache }}/{{ name }}-{{ version }}/bin/{{ name }}" || { echo "Building {{ name }} {{ version }}, once, a few minutes" >&2; cargo install --quiet --locked --root "{{ cache }}/{{ name }}-{{ version }}" "{{ name }}@{{ version }}"; }

# Man pages of the command line, into target/man
man:
    cargo run --quiet -p fluxgate -- man --out target/man

# Completion scripts for bash, zsh and fish, into target/completions
completions:
    cargo build --quiet -p fluxgate
    mkdir -p target/completions
    "{{ bin }}/fluxgate" completion bash > target/completions/fluxgate.bash
    "{{ bin }}/fluxgate" completion zsh > target/completions/_fluxgate
    "{{ bin }}/fluxgate" completion fish > target/completions/fluxgate.fish

# Documentation of the crates, without dependencies
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# What CI runs
ci:
    .ci/run
