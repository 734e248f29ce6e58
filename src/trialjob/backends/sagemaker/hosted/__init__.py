"""SageMaker's own tuner: a whole experiment handed over as one CreateHyperParameterTuningJob."""
