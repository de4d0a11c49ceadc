# One word per habit. Everything happens in .venv, which the first use sets up; see .ci/setup.

VENV := .venv/bin
SOURCES := pyproject.toml constraints.txt .ci/setup
CHECKED := agent drivers tests
SECONDS := 600

.PHONY: run test lint generate bench soak

run: .venv/ready-run
	@$(VENV)/virtmap demo

test: .venv/ready-test
	@$(VENV)/python -c "from tests.servers import versions; print('\n'.join(versions().values()))"
	@$(MAKE) --no-print-directory lint
	$(VENV)/virtmap generate --check
	$(VENV)/pytest

lint: .venv/ready-test
	$(VENV)/ruff check $(CHECKED)
	$(VENV)/ruff format --check $(CHECKED)
	$(VENV)/mypy
	$(VENV)/lint-imports --no-logo

generate: .venv/ready-run
	$(VENV)/virtmap generate

bench: .venv/ready-test
	@for file in tests/bench/[a-z]*.py; do echo "== $$file"; $(VENV)/python -m "$$(echo $${file%.py} | tr / .)" || exit 1; done

soak: .venv/ready-test
	$(VENV)/python -m tests.soak.soak --seconds $(SECONDS)

.venv/ready-run: $(SOURCES)
	@.ci/setup run

.venv/ready-test: $(SOURCES)
	@.ci/setup test
