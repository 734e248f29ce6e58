"""Jobs as Amazon SageMaker training jobs."""
