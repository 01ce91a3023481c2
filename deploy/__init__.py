"""Deployment: the CloudFormation template and the package of the Lambda."""
