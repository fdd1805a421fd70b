"""What is read from adapter.toml, what is refused, and whether adapter.py has what it promises."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.catalogue import SHIPPED, Adapter, digest, discover, known_tables
from bench.errors import UserError
from tests.harness import FAKES

ABOUT, DEVICES = 'about = "for tests"\n', 'devices = ["cpu"]\n'
HEAD, PLAIN = ABOUT + DEVICES, '[classify]\nplain = "as it is"\n'
OWN = f'{HEAD}{PLAIN}[open.own]\nabout = "its way"\n'
COPIES = SHIPPED.parent / "scripts" / "copies"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the adapter.toml of an adapter ``mine``; its folder."""

    def call(text: str) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "adapter.toml").write_text(text, encoding="utf-8")
        return folder

    return call


def read(folder: Path) -> Adapter:
    return discover(folder.parent)[folder.name]


def refused(folder: Path) -> str:
    """What is said of an adapter.toml that is refused: one line, after the file's path."""
    with pytest.raises(UserError) as error:
        read(folder).files()
    words = str(error.value)
    start = f"{folder / 'adapter.toml'}"
    assert words.startswith(start) and "\n" not in words
    return words.removeprefix(start).removeprefix(": ")


def test_an_adapter_is_what_its_file_says(write: Write) -> None:
    folder = write(
        f'{ABOUT}devices = ["cuda", "cpu"]\npython = "3.11"\nuses = ["torch_family"]\nbaseline = true\n'
        '[classify]\nsecond = "by name"\nfirst = "in the file"\n[nef]\napart = "one by one"\n'
        '[open.own]\nabout = "its way"\nlearning = "least-squares"\n'
        '[deviations]\n"second/amp" = "overflows"\n'
    )
    adapter = read(folder)
    assert adapter.model_dump() == {
        "name": "mine",
        "folder": folder,
        "about": "for tests",
        "devices": ["cuda", "cpu"],
        "python": "3.11",
        "uses": ["torch_family"],
        "baseline": True,
        "reference": False,
        "tables": {
            "classify": {"second": "by name", "first": "in the file"},
            "nef": {"apart": "one by one"},
            "open": {"own": {"about": "its way", "learning": "least-squares"}},
        },
        "deviations": {"second/amp": "overflows"},
    }
    assert list(adapter.variants("classify")) == ["second", "first"]  # the first one runs unless asked
    assert adapter.variants("open") == {"own": "its way"} and adapter.variants("inference") == {}
    assert sorted(adapter.names()) == ["apart", "first", "own", "second"]
    assert adapter.learning("classify", "first") == "bptt"
    assert adapter.learning("open", "own") == "least-squares"


def test_what_an_adapter_need_not_say(write: Write) -> None:
    adapter = read(write(HEAD + PLAIN))
    assert (adapter.python, adapter.uses, adapter.baseline, adapter.deviations) == ("", [], False, {})
    assert not adapter.reference


def test_an_adapter_may_be_a_reference(write: Write) -> None:
    assert read(write(HEAD + "reference = true\n" + PLAIN)).reference


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DEVICES + PLAIN, "about: Field required"),
        ("about = 3\n" + DEVICES + PLAIN, "about: Input should be a valid string, got 3"),
        (ABOUT + PLAIN, "devices: Field required"),
        (ABOUT + "devices = []\n" + PLAIN, "devices: List should have at least 1 item"),
        (ABOUT + 'devices = "cpu"\n' + PLAIN, "devices: Input should be a valid list, got 'cpu'"),
        (ABOUT + 'devices = ["tpu"]\n' + PLAIN, "devices.0: Input should be 'cpu' or 'cuda', got 'tpu'"),
        (HEAD + 'python = "3"\n' + PLAIN, "python: String should match pattern"),
        (HEAD + "python = 3.11\n" + PLAIN, "python: Input should be a valid string, got 3.11"),
        (HEAD + 'uses = "torch_family"\n' + PLAIN, "uses: Input should be a valid list, got 'torch_family'"),
        (HEAD + 'uses = ["nothing"]\n' + PLAIN, "uses names no folder 'nothing' beside it"),
        (HEAD + 'baseline = "yes"\n' + PLAIN, "baseline: Input should be a valid boolean"),
        (HEAD + 'reference = "yes"\n' + PLAIN, "reference: Input should be a valid boolean"),
        (HEAD + "baseline = true\nreference = true\n" + PLAIN, "baseline and reference exclude one another"),
        (HEAD + PLAIN + "[deviations]\namp = 3\n", "deviations.amp: Input should be a valid string, got 3"),
        ('device = "cpu"\n' + HEAD + PLAIN, "unknown key 'device': did you mean 'devices'? choose from"),
        (HEAD + PLAIN + '[clasify]\na = "b"\n', "unknown key 'clasify': did you mean 'classify'? choose"),
        (HEAD + PLAIN + '[tables.nef]\na = "b"\n', "unknown key 'tables': "),
        ('name = "torch"\n' + HEAD + PLAIN, "name is the folder's own; delete the line"),
        ('folder = "/"\n' + HEAD + PLAIN, "folder is the folder's own; delete the line"),
        (HEAD, "it has no variant: add one to a table [classify], "),
        (HEAD + "[classify]\n", "it has no variant: add one to a table [classify], "),
        (HEAD + 'classify = "plain"\n', "classify must be a table [classify] of variants, got 'plain'"),
        (HEAD + PLAIN + "other = 2\n", "classify.other must be one line about it, got 2"),
        (HEAD + '[classify.plain]\nabout = "a"\n', "classify.plain must be one line about it, got {'about'"),
        (HEAD + PLAIN + '[nef]\nplain = "a"\n', "variant 'plain' stands in two tables: rename one"),
        (HEAD + PLAIN + '[open]\nown = "a"\n', "open.own must be a table [open.own], got 'a'"),
        (OWN, "open.own: learning: Field required"),
        (OWN + 'learning = "hebb"\n', "or 'least-squares', got 'hebb'"),
        (OWN + 'learning = "bptt"\nspeed = 1\n', "open.own: speed: Extra inputs are not permitted, got 1"),
        (HEAD + PLAIN + "plain = 'again'\n", "is not valid TOML: "),
    ],
)
def test_bad_input_is_one_line_about_the_file_and_what_stands_there(
    write: Write, text: str, words: str
) -> None:
    assert words in refused(write(text))


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", ".a", "-a", "_a", "é", ""])
def test_a_variant_is_named_as_a_file_can_be(write: Write, name: str) -> None:
    words = refused(write(f'{HEAD}[classify]\n"{name}" = "as it is"\n'))
    assert f"classify: variant {name!r} must be letters, digits and . _ - only" in words


def test_a_file_that_is_no_text_is_refused(write: Write) -> None:
    folder = write("")
    (folder / "adapter.toml").write_bytes(b"about = '\xff'")
    assert "is not valid TOML" in refused(folder)


@pytest.mark.parametrize("name", ["my-net", "9lives", "my net"])
def test_a_folder_that_cannot_be_imported_is_refused(write: Write, name: str) -> None:
    folder = write(HEAD + PLAIN).rename(write("").parent / name)
    with pytest.raises(UserError) as error:
        read(folder)
    assert str(error.value) == f"{folder}: the folder's name must be a Python name, as in my_net"


def test_a_name_that_is_taken_is_refused(write: Write) -> None:
    folder = write(HEAD + PLAIN).rename(write("").parent / "torch")
    with pytest.raises(UserError) as error:
        discover(folder.parent)
    assert str(error.value) == f"two adapters are called 'torch': rename the folder {folder}"


def test_a_folder_of_adapters_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        discover(tmp_path / "none")
    assert str(error.value) == f"--adapters {tmp_path / 'none'}: there is no such folder"


def test_a_folder_without_an_adapter_toml_is_no_adapter(write: Write) -> None:
    folder = write(HEAD + PLAIN)
    (folder.parent / "helpers").mkdir()
    assert discover(folder.parent).keys() - discover(None).keys() == {"mine"}


def test_files_are_those_that_decide_what_is_computed(write: Write) -> None:
    folder = write(f'{HEAD}uses = ["shared"]\n{PLAIN}')
    kept = ["mine/adapter.py", "mine/kernels/step.cu", "shared/cell.py"]
    left = ["mine/__pycache__/adapter.pyc", "mine/.adapter.py.swp", "mine/adapter.py~"]
    left += [
        "mine/adapter.py.swp",
        "mine/#adapter.py#",
        "mine/adapter.py.orig",
        "mine/adapter.py.bak",
        "other/cell.py",
    ]
    for name in kept + left:
        path = folder.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    expected = {folder / "adapter.toml", *(folder.parent / name for name in kept)}
    assert set(read(folder).files()) == expected


def test_shared_folders_are_found_where_they_are_imported_from(write: Write) -> None:
    folder = write(f'{HEAD}uses = ["torch_family"]\n{PLAIN}')
    (folder.parent / "torch_family").mkdir()
    (folder.parent / "torch_family" / "decoy.py").touch()
    assert {path.parent for path in read(folder).files()} == {folder, SHIPPED / "torch_family"}


def test_a_link_is_an_adapter_under_its_own_name_whatever_it_leads_to(write: Write, tmp_path: Path) -> None:
    folder = write(HEAD + PLAIN)
    (folder / "adapter.py").write_text("one = 1")
    more = tmp_path / "more"
    more.mkdir()
    (more / "other").symlink_to(folder, target_is_directory=True)
    (tmp_path / "link").symlink_to(more, target_is_directory=True)
    for base in (more, tmp_path / "link"):
        found = discover(base)["other"]
        assert found.folder == more / "other"
        assert {path.name for path in found.files()} == {"adapter.toml", "adapter.py"}


def test_what_links_inside_a_folder_lead_to_is_in_its_digest(write: Write, tmp_path: Path) -> None:
    folder, kernels = write(HEAD + PLAIN), tmp_path / "elsewhere"
    kernels.mkdir()
    (kernels / "step.cu").write_text("one")
    (folder / "kernels").symlink_to(kernels)
    (folder / "cell.py").symlink_to(kernels / "step.cu")
    (folder / "round").symlink_to(folder)
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    before = read(folder).files()
    assert {path.name for path in before} == {"adapter.toml", "step.cu", "cell.py"}
    kept = digest(before)
    (kernels / "step.cu").write_text("two")
    assert digest(read(folder).files()) != kept


def test_the_folder_of_one_adapter_is_no_folder_of_adapters(write: Write) -> None:
    folder = write(HEAD + PLAIN)
    with pytest.raises(UserError, match=f"is an adapter itself: name the folder above it, {folder.parent}"):
        discover(folder)


def test_an_adapter_that_nobody_asked_for_may_be_malformed(write: Write) -> None:
    write("devices = [")
    assert list(discover(write("devices = [").parent, ["torch"])) == ["torch"]
    with pytest.raises(UserError, match="is not valid TOML"):
        discover(write("devices = [").parent, ["torch", "mine"])
    with pytest.raises(UserError, match=r"unknown adapter 'mime': did you mean 'mine'\?"):
        discover(write(HEAD + PLAIN).parent, ["mime"])


def test_the_name_of_a_folder_of_the_project_is_taken(write: Write) -> None:
    folder = write(HEAD + PLAIN)
    folder = folder.rename(folder.with_name("torch_family"))
    with pytest.raises(UserError, match="the project has a folder 'torch_family' already"):
        discover(folder.parent)


def test_a_digest_is_of_names_contents_and_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("b")
    before = digest([one, other])
    assert before == digest([one, other]) != digest([other, one])
    other.write_text("c")
    assert digest([one, other]) != before
    assert digest([one]) != digest([one.rename(tmp_path / "new")])


def builders(folder: Path) -> list[str]:
    """The keys of the literal ``VARIANTS`` in an adapter.py, which is not imported."""
    for statement in ast.parse((folder / "adapter.py").read_text(encoding="utf-8")).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id="VARIANTS"), value=ast.Dict() as value):
                return [ast.literal_eval(key) for key in value.keys if key]
            case ast.Assign(targets=[ast.Name(id="VARIANTS")], value=ast.Dict() as value):
                return [ast.literal_eval(key) for key in value.keys if key]
    raise AssertionError(f"{folder} has no literal VARIANTS")


@pytest.mark.parametrize("folder", [SHIPPED, FAKES, COPIES], ids=lambda folder: folder.name)
def test_adapter_py_has_a_builder_for_every_variant_of_adapter_toml_and_no_other(folder: Path) -> None:
    found = discover(None if folder == SHIPPED else folder).values()
    chosen = [adapter for adapter in found if adapter.folder.parent == folder and adapter.name != "old"]
    assert chosen
    for adapter in chosen:
        assert sorted(builders(adapter.folder)) == sorted(adapter.names()), adapter.name


def test_exactly_one_shipped_adapter_is_the_baseline() -> None:
    assert [adapter.name for adapter in discover(None).values() if adapter.baseline] == ["torch"]


def test_exactly_one_shipped_adapter_is_the_reference() -> None:
    assert [adapter.name for adapter in discover(None).values() if adapter.reference] == ["limit"]


def test_every_table_has_a_shipped_adapter() -> None:
    assert known_tables().keys() == {t for adapter in discover(None).values() for t in adapter.tables}
