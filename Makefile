# What a person or CI runs here. `make` alone lists it.
#
# Virtual environments of their own, because each AWS emulator pins its own botocore:
#   .venv             the project and its tools, from requirements/dev.txt
#   .venv-stack       the embedded emulator and mongod, from requirements/stack.txt
#   .venv-localstack  LocalStack, from requirements/localstack.txt (500 MB; made when it is first asked for)
# Each keeps a copy of the lock file that it was made from, and is made anew when the lock file differs.

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard shared producer_lambda writer ops local deploy replicator_testing bench tests)

VENV := .venv/made-from.txt
VENV_STACK := .venv-stack/made-from.txt
VENV_LOCALSTACK := .venv-localstack/made-from.txt
# LocalStack, unless one is named that already runs.
NEEDED_FOR_LOCALSTACK := $(if $(AWS_ENDPOINT_URL)$(LOCALSTACK_HOST),,$(VENV_LOCALSTACK))

.DEFAULT_GOAL := help
.PHONY: help run test test-localstack test-faults soak bench lint audit format schema lock package clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV) $(VENV_STACK) $(if $(filter localstack,$(STACK)),$(NEEDED_FOR_LOCALSTACK)) ## replicate the example on this machine until Ctrl-C (ONCE=1: verify and end; KEEP=1: keep data and logs; STACK=localstack: on LocalStack)
	@$(BIN)/python -m local run $(if $(filter 1,$(ONCE)),--once) $(if $(filter 1,$(KEEP)),--keep) $(if $(STACK),--stack $(STACK))

test: $(VENV) $(VENV_STACK) ## run all tests, and sum them up (SEED=…: repeat a run; ARGS="-k name -x": one pytest with these arguments)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m tests.run $(if $(SEED),--seed $(SEED))
endif

test-localstack: $(VENV) $(VENV_STACK) $(NEEDED_FOR_LOCALSTACK) ## run the end-to-end tests on LocalStack: the one that AWS_ENDPOINT_URL or LOCALSTACK_HOST names, or one started here
	$(BIN)/python -m pytest tests/e2e tests/localstack --stack=localstack $(ARGS)

test-faults: $(VENV) $(VENV_STACK) ## run only the fault suite: kill -9, cut connections, frozen writers, old messages (FAULTS_SEED=…: repeat a run)
	$(BIN)/python -m pytest tests/faults $(ARGS)

soak: $(VENV) $(VENV_STACK) ## run the fault suite for longer (SECONDS=600: of each random scenario; FAULTS_SEED=…: repeat a run)
	SOAK_SECONDS=$(or $(SECONDS),600) $(BIN)/python -m pytest tests/faults $(ARGS)

bench: $(VENV) ## run the benchmarks; what they find goes to bench/results/ (ARGS="types --rounds 5": one of them, fewer rounds)
	$(BIN)/python -m bench $(ARGS)

lint: $(VENV) ## check style, types, imports, templates, images and that what is installed fits together
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deploy/*.yaml
	$(BIN)/hadolint deploy/Dockerfile local/Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/python -m pip --disable-pip-version-check check

audit: .venv-audit/bin/pip-audit ## look up all locked dependencies in PyPI's database of known vulnerabilities (needs the network)
	@for file in requirements/*.txt; do \
		echo "$$file" && \
		.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r "$$file" || failed=1; \
	done; \
	if [ "$$failed" ]; then echo "Not every lock file passed: see above whether a vulnerability was found, or a look-up failed." >&2; exit 1; fi

format: $(VENV) ## format the code and apply the linter's safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

package: $(VENV) ## build build/producer.zip, the Lambda's package (RUNTIME=python3.13 ARCHITECTURE=x86_64: as the template's parameters)
	@$(BIN)/python -m deploy.package build/producer.zip --runtime $(or $(RUNTIME),python3.13) --architecture $(or $(ARCHITECTURE),x86_64)

schema: $(VENV) ## write replication.schema.json, which editors check replication.yaml with
	@mkdir -p build
	$(BIN)/replicator config-schema > build/replication.schema.json
	mv build/replication.schema.json replication.schema.json

lock: .venv-lock/bin/uv ## resolve pyproject.toml and requirements/*.in into the lock files (UPGRADE=1: to newer versions)
	$(UV_COMPILE) pyproject.toml --extra producer -o requirements/producer.txt
	$(UV_COMPILE) pyproject.toml --extra writer -o requirements/writer.txt
	$(UV_COMPILE) pyproject.toml --extra dev -o requirements/dev.txt
	$(UV_COMPILE) --constraint requirements/dev.txt pyproject.toml --extra local -o requirements/local.txt
	$(UV_COMPILE) requirements/stack.in -o requirements/stack.txt
	$(UV_COMPILE) --exclude-newer 2025-10-15 requirements/localstack.in -o requirements/localstack.txt

clean: ## remove everything that was built, the virtual environments included
	rm -rf .venv .venv-stack .venv-localstack .venv-lock .venv-audit build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

UV_COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
	$(if $(filter 1,$(UPGRADE)),--upgrade)

$(VENV): requirements/dev.txt
$(VENV_STACK): requirements/stack.txt
$(VENV_LOCALSTACK): requirements/localstack.txt

# The project itself, in place, for its command `replicator`. Needs no network: the build backend is in the lock file.
INSTALL_PROJECT = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .

%/made-from.txt:
	@if cmp -s $< $@; then touch $@; exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.13" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	echo "Installing $< into $* ..." && \
	$(PYTHON) -m venv --clear $* && \
	$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< && \
	$(if $(filter $(VENV),$@),$(INSTALL_PROJECT) &&) \
	cp $< $@

.venv-lock/bin/uv:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv-audit/bin/pip-audit:
	$(PYTHON) -m venv --clear .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
