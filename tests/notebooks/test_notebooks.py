"""The notebooks run from top to bottom, show what they promise, and are stored without outputs."""

import ast
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    """Outputs make every change unreadable, and tell about the machine they were made on."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The notebook on the profile of a span, executed on the data that ships with the package."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("CORRELATE_URL", "CORRELATE_LAKE_URL"):
            patch.delenv(variable, raising=False)
        for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(variable, str(home))
        return execute(ROOT / "notebooks" / "01_profile_of_a_span.ipynb")


class OwnKernel(AsyncKernelManager):
    """Starts the ipykernel beside this interpreter, whatever kernels the user has installed."""

    def __init__(self, **options: object) -> None:
        # No folders to look for kernels in: what is left is the one of this environment.
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)


def execute(path: Path) -> NotebookNode:
    """Run a notebook from the root of the repository."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(
        notebook, kernel_manager_class=OwnKernel, kernel_name="python3", timeout=120, resources=where
    )
    return client.execute()


def data_of(notebook: NotebookNode, tag: str) -> dict[str, object]:
    """The rich output of the cell with a tag: media type to content."""
    (cell,) = (cell for cell in notebook.cells if tag in cell.metadata.get("tags", ()))
    (shown,) = (output for output in cell.outputs if output.output_type in ("execute_result", "display_data"))
    return dict(shown.data)


def test_every_cell_ran_without_complaint(ran: NotebookNode) -> None:
    """No error, and no warning that a reader would stumble over."""
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []


def test_the_flame_graph_is_a_figure_with_bars(ran: NotebookNode) -> None:
    """The picture is a Plotly figure: one bar per frame, the root over the whole width."""
    figure = data_of(ran, "flame")[PLOTLY]
    (bars,) = figure["data"]  # type: ignore[index]  # the media type holds plain JSON
    assert bars["type"] == "bar"
    assert len(bars["text"]) >= 10
    assert "GET /items" in figure["layout"]["title"]["text"]  # type: ignore[index]


def test_the_answer_says_how_sure_it_is(ran: NotebookNode) -> None:
    """Samples, coverage, method and confidence stand beside the picture."""
    shown = str(data_of(ran, "facts")["text/plain"])
    for word in ("samples", "coverage", "unattributed", "label", "exact"):
        assert word in shown


def test_the_tables_are_tables(ran: NotebookNode) -> None:
    """Self time and CPU per operation are shown as HTML tables with the names that the recording holds."""
    assert "score_item" in str(data_of(ran, "self")["text/html"])
    assert "POST /checkout" in str(data_of(ran, "by-operation")["text/html"])
    assert "bundle_discount" in str(data_of(ran, "by-function")["text/html"])


def test_tables_and_api_agree_to_the_nanosecond(ran: NotebookNode) -> None:
    """What Polars sums over the open tables is what the API accounts for."""
    totals = ast.literal_eval(str(data_of(ran, "agree")["text/plain"]))
    assert totals["tables"] == totals["api"] > 0


def test_a_span_without_samples_gets_a_reason(ran: NotebookNode) -> None:
    """The notebook shows the reason in words."""
    (cell,) = (cell for cell in ran.cells if "absent" in cell.metadata.get("tags", ()))
    assert "local root" in "".join(output.get("text", "") for output in cell.outputs)
