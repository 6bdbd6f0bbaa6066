"""Call sites: library frames do not hide who called them."""

import numpy as np
import pytest

from correlate.detectors.leak_cluster import Frame, cluster, is_library, site_of

MAIN = Frame("main.serve", "shop/main.go", 10)
KEEP = Frame("main.(*cache).keep", "shop/cache.go", 20)
GROW = Frame("bytes.growSlice", "bytes/buffer.go", 226)
WRITE = Frame("bytes.(*Buffer).Write", "bytes/buffer.go", 170)


@pytest.mark.parametrize(
    ("frame", "library"),
    [
        (GROW, True),
        (KEEP, False),
        (Frame("github.com/x/y.New", "github.com/x/y@v1.2.3/y.go"), True),
        (Frame("raw_decode", "/usr/lib/python3.11/json/decoder.py"), True),
        (Frame("get", "/app/venv/lib/python3.11/site-packages/requests/api.py"), True),
        (Frame("remember_session", "/app/shop/sessions.py"), False),
        (Frame("java.util.ArrayList.add"), True),
        (Frame("com.shop.Cart.add"), False),
        (Frame("alloc::vec::Vec<T>::push", "/rustc/abc/library/alloc/src/vec/mod.rs"), True),
        (Frame("net_price", "shop/net.py"), False),
    ],
)
def test_library_code_is_told_by_its_names(frame: Frame, library: bool) -> None:
    """Standard libraries and installed packages of the usual languages, by function and file."""
    assert is_library(frame) is library


def test_the_nearest_own_caller_is_the_site() -> None:
    """The allocation happens in bytes.growSlice; who keeps it is the cache."""
    site = site_of([MAIN, KEEP, WRITE, GROW])
    assert (site.function, site.line, site.stack[-1]) == ("main.(*cache).keep", 20, "bytes.growSlice")
    assert site_of([WRITE, GROW]).function == "bytes.growSlice"
    assert site_of([]).function == "?"


def test_stacks_of_a_site_are_added_up() -> None:
    """Two ways to the same allocation are one site, shown by the way that holds more; callers stay apart."""
    other = Frame("main.render", "shop/render.go", 5)
    stacks = [[MAIN, KEEP, GROW], [MAIN, other, KEEP, GROW], [MAIN, other, GROW]]
    sites, values = cluster(stacks, np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 10.0]]))
    assert [site.function for site in sites] == ["main.(*cache).keep", "main.render"]
    assert values.tolist() == [[4.0, 6.0], [10.0, 10.0]]
    assert "main.render" in sites[0].stack
