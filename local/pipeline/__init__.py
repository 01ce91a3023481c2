"""The pipeline on a stack: deployed through CloudFormation as in production, with tables and a writer."""
