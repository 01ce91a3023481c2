"""Deployment: the CloudFormation templates, the package of the Lambda, and the image of the writer."""
