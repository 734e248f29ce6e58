"""Prices that are known without asking: AWS's files, the user's cache, the table in the package."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.backends.sagemaker.price_book import cache_file, fetched, keep, known, packaged
from trialjob.backends.sagemaker.price_feed import PriceFeed, read_prices
from trialjob.backends.sagemaker.prices import table_price
from trialjob.errors import BackendUnavailable
from trialjob.testing.fake_aws.pricing import PRICES, write_price_list


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    write_price_list(folder)
    return folder


@pytest.fixture
def mirror(lists: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(lists)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_fetched_is_what_offline_plans_are_made_of(
    mirror: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table_price("eu-central-1", "ml.g5.xlarge") is None
    assert main(["prices", "--update", "--region", "eu-central-1", "--from", mirror, "ml.g5.xlarge"]) == 0
    assert "ml.g5.xlarge           1.408" in capsys.readouterr().out
    price = table_price("eu-central-1", "ml.g5.xlarge")
    assert price is not None
    assert (price.micros, price.source) == (1_408_000, "AWS's price list of 2026-11-01")


def test_only_training_by_the_hour_is_read(lists: Path) -> None:
    found = PriceFeed(str(lists)).prices("us-east-1")
    assert found.per_hour == {machine: Decimal(price) for machine, price in PRICES.items()}
    assert (found.currency, found.date) == ("USD", "2026-11-01")


def test_all_regions_are_those_of_the_index(lists: Path, tmp_path: Path) -> None:
    table = tmp_path / "made" / "prices.json"
    assert main(["prices", "--update", "--all-regions", "--from", str(lists), "--output", str(table)]) == 0
    made = json.loads(table.read_text())["regions"]
    assert sorted(made) == ["cn-north-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]
    assert not fetched()


def test_a_region_without_a_list_of_training_keeps_no_other_from_being_fetched(
    lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "prices.json"
    words = ["prices", "--update", "--all-regions", "--from", str(lists), "--output", str(table)]
    assert main(words) == 0
    before = json.loads(table.read_text())["regions"]["eu-west-1"]
    offer = json.loads((lists / "eu-west-1" / "index.json").read_text())
    (lists / "eu-west-1" / "index.json").write_text(json.dumps(offer | {"products": {}}))
    (lists / "us-west-2" / "index.json").unlink()
    (lists / "newer").mkdir()
    write_price_list(lists / "newer", published="2027-01-01T00:00:00Z")
    newer = (lists / "newer" / "us-east-1" / "index.json").read_bytes()
    (lists / "us-east-1" / "index.json").write_bytes(newer)
    assert main(words) == 2  # a folder that is no mirror of all it lists
    (lists / "us-west-2" / "index.json").write_bytes(newer)
    capsys.readouterr()
    assert main(words) == 1
    assert "eu-west-1 keeps what was known of it" in capsys.readouterr().err
    made = json.loads(table.read_text())["regions"]
    assert (made["eu-west-1"], made["us-east-1"]["date"]) == (before, "2027-01-01")


def test_yuan_are_shown_and_never_taken_for_dollars(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--update", "--region", "cn-north-1", "--from", str(lists)]) == 0
    assert main(["prices", "--region", "cn-north-1"]) == 0
    shown = capsys.readouterr().out
    assert "CNY an hour" in shown
    assert "backend.price_per_hour" in shown
    assert table_price("cn-north-1", "ml.g5.xlarge") is None


def test_the_newer_table_of_a_region_counts_as_a_whole(tmp_path: Path) -> None:
    ours = packaged()["us-east-1"]
    for published, newer in (("2020-01-01T00:00:00Z", False), ("2099-01-01T00:00:00Z", True)):
        folder = tmp_path / published[:4]
        folder.mkdir()
        write_price_list(folder, published=published)
        keep({"us-east-1": PriceFeed(str(folder)).prices("us-east-1")}, cache_file())
        assert (known("us-east-1") != ours) is newer
    assert "ml.p3.2xlarge" in ours.per_hour
    assert table_price("us-east-1", "ml.p3.2xlarge") is None  # the newer one does not list it any more


def test_an_update_keeps_the_other_regions(lists: Path) -> None:
    for region in ("eu-west-1", "us-west-2"):
        assert main(["prices", "--update", "--region", region, "--from", str(lists)]) == 0
    assert sorted(fetched()) == ["eu-west-1", "us-west-2"]


def test_where_no_file_can_be_nothing_is_replaced(
    lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prices", "--update", "--region", "us-east-1", "--from", str(lists), "--output"]
    os.mkfifo(tmp_path / "pipe")  # a reader of it would wait for ever
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "pipe", tmp_path):
        assert main([*words, str(place)]) == 2
        assert f"{place} is no file; name one" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()
    assert main([*words, str(tmp_path / "file" / "prices.json")]) == 2
    assert f"{tmp_path / 'file'} is no folder" in capsys.readouterr().err
    assert main([*words, ""]) == 2
    assert not cache_file().exists()


def table(**changes: object) -> str:
    made = {
        "date": "2099-01-01",
        "currency": "USD",
        "source": "x",
        "per_hour": {"ml.g5.xlarge": "1"},
        **changes,
    }
    return json.dumps({"format": 1, "regions": {"us-east-1": made}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        table().replace('"format": 1', '"format": 2'),
        '{"format": 1, "regions": {"us-east-1": 3}}',
        table(per_hour={"ml.g5.xlarge": "-1"}),
        table(per_hour={"ml.g5.xlarge": "NaN"}),
        table(per_hour=[]),
        table(date="soon"),
    ],
)
def test_a_cache_that_cannot_be_read_is_as_if_it_were_not_there(text: str) -> None:
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text(text)
    assert fetched() == {}
    assert known("us-east-1") == packaged()["us-east-1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Sign in</html>",
        b"{}",
        b"[]",
        b'{"products": {}, "terms": {"OnDemand": {}}, "publicationDate": ""}',
    ],
)
def test_what_is_no_price_list_is_said_and_changes_nothing(lists: Path, mirror: str, content: bytes) -> None:
    assert main(["prices", "--update", "--region", "us-east-1", "--from", mirror]) == 0
    before = cache_file().read_bytes()
    (lists / "us-east-1" / "index.json").write_bytes(content)
    with pytest.raises(BackendUnavailable, match=r"us-east-1/index\.json"):
        PriceFeed(mirror).prices("us-east-1")
    assert main(["prices", "--update", "--region", "us-east-1", "--from", mirror]) != 0
    assert cache_file().read_bytes() == before


def test_two_currencies_in_one_list_are_refused(lists: Path) -> None:
    offer = json.loads((lists / "us-east-1" / "index.json").read_text())
    first = next(iter(offer["terms"]["OnDemand"].values()))
    for term in first.values():
        for dimension in term["priceDimensions"].values():
            dimension["pricePerUnit"]["CNY"] = "7"
    with pytest.raises(ValueError, match="CNY and USD"):
        read_prices(offer)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--region us-east-1"),
        (["--region", "../etc"], "no name of a region"),
        (["--region", "us-east-1", "--all-regions"], "leave out one"),
        (["--region", "us-east-1", "--output", "x"], "add --update"),
        (["--region", "us-east-1", "--update", "--from", "gone"], "neither a folder"),
    ],
)
def test_wrong_words_are_named(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_type_without_a_price_is_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--region", "us-east-1", "ml.g5.xlarge", "ml.new.huge"]) == 1
    assert "ml.new.huge            unknown; write backend.price_per_hour" in capsys.readouterr().out


def test_a_region_nobody_knows_is_answered_with_the_command_that_fetches_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prices", "--region", "eu-north-1", "ml.g5.xlarge"]) == 1
    assert "trialjob prices --update --region eu-north-1" in capsys.readouterr().out
