# Two commands do all: `make demo` sets up, builds and runs the main job; `make test` sets up, builds and tests.
# Both install what is missing (.ci/setup says what) and work as root or not.

.PHONY: demo test build setup simulate swarm prove

build: setup
	cargo build --locked -p althing-cli

demo: build
	cargo run --locked -q -p althing-cli -- demo --auto

test: setup
	cargo build --locked --workspace --all-targets
	.ci/test

simulate: setup
	cargo run --locked --profile swarm -q -p althing-simulations --bin swarm -- --seeds 1..301 --members 9 --minutes 10

# Worlds of three to nine members with all faults; fails if an interesting state was never reached.
SEEDS ?= 1..2001
swarm: setup
	cargo run --locked --profile swarm -q -p althing-simulations --bin swarm -- --seeds $(SEEDS) --members 3-9 --minutes 10 --all-reached

prove: setup
	cargo run --locked --profile swarm -q -p althing-simulations --bin prove

setup:
	@.ci/setup
