"""Plugins of LocalStack, which runs them: nothing of this project is imported here, or imports this.

`local/servers/localstack.py` puts the folder above on LocalStack's PYTHONPATH, and chooses the plugins by
their names in the entry points there. They use LocalStack's internals, so they fit one version: that in
requirements/localstack.txt.
"""
