"""Spec file → typed spec. Knows what a user may write; knows nothing of how an experiment runs."""

from trialjob.config.differences import differences as differences
from trialjob.config.estimators import ContainerSpec as ContainerSpec
from trialjob.config.estimators import SourceSpec as SourceSpec
from trialjob.config.lints import old_places as old_places
from trialjob.config.lints import warnings as warnings
from trialjob.config.parse import choose as choose
from trialjob.config.parse import in_todays_words as in_todays_words
from trialjob.config.parse import load as load
from trialjob.config.parse import parse as parse
from trialjob.config.parse import read as read
from trialjob.config.spec import ExperimentSpec as ExperimentSpec
from trialjob.config.spec import LimitsSpec as LimitsSpec
