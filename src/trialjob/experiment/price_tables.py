"""The tables of prices that are there before anybody is asked, for the commands that show and renew them."""

from trialjob.backends.sagemaker.price_book import RegionPrices, cache_file, keep, known, known_regions
from trialjob.backends.sagemaker.price_feed import PriceFeed

__all__ = ["PriceFeed", "RegionPrices", "cache_file", "keep", "known", "known_regions"]
