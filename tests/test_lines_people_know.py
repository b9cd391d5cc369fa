"""The lines that everybody who learned transformers knows, unchanged, in new processes without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import pipeline, pipelines
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import hub as transformers_hub

from course_utils.machine import ROOT
from course_utils.models import CATALOGUE, ModelStore, offline, use_course_models
from course_utils.models import hub as hub_profile
from course_utils.models.pipelines import load_pipeline, path
from tests.test_offline import can_unshare
from tests.tiny_models import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.skipif(not can_unshare(), reason="this machine cannot cut the network of one process")

# Each line runs on its own and tells what came out of it, and whether it asked the network or waited.
RUN = """
import json, socket, sys, time

asked = []
def noted(name):
    def note(*details, **more):
        asked.append(name)
        raise OSError(101, "Network is unreachable")
    return note
for name in ("getaddrinfo", "create_connection"):
    setattr(socket, name, noted(name))
slept = []
time.sleep = slept.append

def run(line, names):
    print(f"### {line}", file=sys.stderr, flush=True)
    asked.clear(), slept.clear()
    try:
        outcome = {"found": eval(line, names)}
    except Exception as error:
        outcome = {"error": type(error).__name__, "sentence": str(error)}
    return outcome | {"asked": list(asked), "slept": sum(slept)}
"""
TRANSFORMERS_FIRST = """
from transformers import AutoModel, AutoTokenizer, pipeline
from course_utils.models import use_course_models
from course_utils.models.pipelines import load_pipeline, path
"""
COURSE_FIRST = """
from pathlib import Path
from course_utils.models import use_course_models
use_course_models()
from transformers import AutoModel, AutoTokenizer, pipeline
"""

HUGGING_FACE = "my name is sylvain and i work at hugging face in brooklyn"
BRIDGE = (
    "The town council voted on Tuesday to close the old bridge for six months. Engineers found cracks in two of its "
    "pillars in March. Buses will take a longer way through the station."
)
PROMPT = "In this course, we will teach you how to"
FAMOUS = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


def texts(found, begin=PROMPT):
    return [one["generated_text"] for one in found if one["generated_text"].startswith(begin)]


def spans(found, text):
    return {(one["entity_group"], text[one["start"] : one["end"]]) for one in found}


LINES = {
    """pipeline('sentiment-analysis')("I've been waiting for a HuggingFace course my whole life.")""": lambda found: (
        found[0]["label"] == "POSITIVE" and found[0]["score"] > 0.9
    ),
    """pipeline('sentiment-analysis')(["I don't hate this so much!", "I hate this so much!"])""": lambda found: (
        [one["label"] for one in found] == ["POSITIVE", "NEGATIVE"]
    ),
    "pipeline('text-classification')('What a lovely day.')": lambda found: found[0]["label"] == "POSITIVE",
    "pipeline('zero-shot-classification')('This is a course about the Transformers library on huggingface', "
    "candidate_labels=['education', 'politics', 'sports'])": lambda found: (
        found["labels"][0] == "education" and sum(found["scores"]) == pytest.approx(1)
    ),
    f'pipeline("text-generation")("{PROMPT}")': lambda found: len(texts(found)) == 1 and len(found[0]) == 1,
    f'pipeline("text-generation")("{PROMPT}", max_length=40)': lambda found: (
        11 < len(load_pipeline("text-generation").tokenizer(texts(found)[0]).input_ids) <= 41
    ),
    f'pipeline("text-generation")("{PROMPT}", max_length=30, num_return_sequences=2)': lambda found: (
        len(set(texts(found))) == 2
    ),
    """pipeline("text-generation")([{"role": "user", "content": "Hello!"}], max_new_tokens=5)""": lambda found: (
        found[0]["generated_text"][-1]["role"] == "assistant"
    ),
    """pipeline('fill-mask')("This course will teach you all about [MASK] models.", top_k=2)""": lambda found: (
        [one["sequence"].startswith("this course will teach you all about ") for one in found] == [True, True]
    ),
    f"""pipeline('ner', grouped_entities=True)("{HUGGING_FACE}")""": lambda found: (
        spans(found, HUGGING_FACE) == {("PER", "sylvain"), ("ORG", "hugging face"), ("LOC", "brooklyn")}
    ),
    f"""pipeline("question-answering")(question='where do i work?', context='{HUGGING_FACE}')""": lambda found: (
        "hugging face" in found["answer"] and HUGGING_FACE[found["start"] : found["end"]] == found["answer"]
    ),
    'pipeline("translation")("I have a small car.")': lambda found: (
        found == [{"translation_text": "J'ai une petite voiture."}]
    ),
    'pipeline("translation_en_to_fr")("I have a small car.")': lambda found: (
        found == [{"translation_text": "J'ai une petite voiture."}]
    ),
    f'pipeline("summarization")("{BRIDGE}", max_length=60, min_length=5, do_sample=False)': lambda found: (
        "bridge" in found[0]["summary_text"] and len(found[0]["summary_text"]) < len(BRIDGE)
    ),
    'len(pipeline("feature-extraction")("hello world")[0][0])': lambda found: found == 384,
    'pipeline(task="sentiment-analysis", device="cpu")("Good.")': lambda found: found[0]["label"] == "POSITIVE",
    """list(pipeline("text-classification")(text for text in ["Good.", "Bad."]))""": lambda found: (
        [one["label"] for one in found] == ["POSITIVE", "NEGATIVE"]
    ),
    """pipeline("text-classification")({"text": "Good.", "text_pair": "Very good."})""": lambda found: (
        found["label"] == "POSITIVE"
    ),
    """pipeline("text-classification")("good " * 1000, truncation=True)""": lambda found: found[0]["score"] > 0.5,
}
NAMED = {
    "pipeline('sentiment-analysis', model=path('sentiment-analysis'), tokenizer=path('sentiment-analysis'))"
    "('I hate this so much!')": lambda found: found[0]["label"] == "NEGATIVE",
    "pipeline('translation', model=path('translation'))('I love you.')": lambda found: "aime" in str(found),
}
# What can't be had, or isn't meant: the kind of error, and its whole sentence.
UNREACHABLE = (
    "{!r} is neither a folder nor a model that was fetched before, and the embedded profile doesn't ask the Hugging "
    "Face hub; set COURSE_MODELS=hub and call use_course_models() again to load it from there."
)
GAP = "This course will teach you all about <mask> models."
SENTENCES = {
    f"pipeline('fill-mask')('{GAP}', top_k=2)": (
        "PipelineException",
        f"texts must call the gap [MASK], as this model does, got <mask> in '{GAP}'",
    ),
    "pipeline('translation_en_to_de')('Hello!')": (
        "ValueError",
        "task must be one of ['translation_en_to_fr'] for this model, got 'translation_en_to_de'",
    ),
    "pipeline('text2text-generation')": (
        "ModelStoreError",
        "The course comes with no model for text2text-generation; set COURSE_MODELS=hub and call use_course_models() "
        "again to load google-t5/t5-small from the Hugging Face hub.",
    ),
    "pipeline('image-classification')": ("OSError", UNREACHABLE.format("google/vit-base-patch16-224")),
    f"pipeline('sentiment-analysis', model='{FAMOUS}')": ("OSError", UNREACHABLE.format(FAMOUS)),
    "AutoModel.from_pretrained('gpt2')": ("OSError", UNREACHABLE.format("gpt2")),
    "AutoTokenizer.from_pretrained('gpt2')": ("OSError", UNREACHABLE.format("gpt2")),
    "pipeline('text-classification')('')": ("ValueError", "texts must be texts that are not empty, got ''"),
    "pipeline('text-generation')([])": ("ValueError", "texts must hold at least one text, got an empty list"),
    "pipeline('ner')('word ' * 1000)": ("ValueError", "texts must have at most 512 tokens, got 1,002"),
    "pipeline('zero-shot-classification')('A text.', candidate_labels=[])": (
        "ValueError",
        "candidate_labels must hold at least one label that is not empty, got []",
    ),
    "pipeline('question-answering')(question='who?', context='')": (
        "ValueError",
        "context must be a text that is not empty, got ''",
    ),
}


def run_lines(imports, lines, before=(), **settings):
    """Run the lines in one new process without a network; return what came of each, and what it wrote to stderr."""
    code = f"{RUN}\n{imports}\nprint(json.dumps([run(line, globals()) for line in {lines!r}], default=float))"
    program = " && ".join([*before, 'exec "$0" -P -c "$1"'])
    command = ["unshare", "-rnm" if before else "-rn", "sh", "-c", program, sys.executable, code]
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"} | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    written = done.stderr.split("### ")[-len(lines) :]
    return {
        line: outcome | {"stderr": stderr}
        for line, outcome, stderr in zip(lines, json.loads(done.stdout.splitlines()[-1]), written, strict=True)
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All lines after one call; transformers, and so the hub's client, was imported before with its network on."""
    lines = [*LINES, *NAMED, *SENTENCES, "pipeline('conversational')"]
    nothing = str(tmp_path_factory.mktemp("no-hub-cache"))
    return run_lines(f"{TRANSFORMERS_FIRST}\nuse_course_models()", lines, HF_HOME=nothing)


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_people_know(outcomes, line):
    outcome = outcomes[line]
    assert LINES[line](outcome["found"]), outcome
    assert "No model was supplied, defaulted to " in outcome["stderr"]
    assert outcome["asked"] == []


@pytest.mark.parametrize("line", NAMED)
def test_a_model_that_is_named_is_the_one_that_loads(outcomes, line):
    assert NAMED[line](outcomes[line]["found"])
    assert "No model was supplied" not in outcomes[line]["stderr"]


@pytest.mark.parametrize("line", SENTENCES)
def test_what_cannot_be_had_is_said_in_one_sentence_without_waiting(outcomes, line):
    outcome = outcomes[line]
    assert (outcome["error"], outcome["sentence"]) == SENTENCES[line]
    assert (outcome["asked"], outcome["slept"]) == ([], 0)


def test_a_task_that_does_not_exist_is_transformers_own_sentence(outcomes):
    outcome = outcomes["pipeline('conversational')"]
    assert outcome["error"] == "KeyError"
    assert "Unknown task conversational, available tasks are [" in outcome["sentence"]


def test_an_old_setting_works_and_says_its_new_name(outcomes):
    (line,) = (line for line in LINES if "grouped_entities" in line)
    assert 'grouped_entities=True is now called aggregation_strategy="simple".' in outcomes[line]["stderr"]


def test_on_a_hub_for_a_class(tmp_path):
    """A read-only folder of models, a small home, HF_HUB_OFFLINE set; and our call comes before transformers."""
    store, own = tmp_path / "store", tmp_path / "own"
    store.mkdir()
    own.mkdir()
    for entry in CATALOGUE.values():
        (store / entry.name).symlink_to(ModelStore().ensure(entry))
    disks = [f"mount --bind '{store}' '{store}'", f"mount -o remount,ro,bind '{store}' '{store}'"]
    disks += [f"mount -t tmpfs -o size=120m none '{own}'"]
    lines = ["pipeline('sentiment-analysis')('Good.')", "pipeline('question-answering')"]
    lines += [
        "pipeline('ner', model='bert-base-cased')",
        f"[file.name for file in Path('{own}').glob('*/*/*/*')]",
    ]
    settings = {"COURSE_MODELS_DIR": str(store), "XDG_CACHE_HOME": str(own), "HF_HUB_OFFLINE": "1"}
    good, full, named, files = run_lines(COURSE_FIRST, lines, disks, HF_HOME=str(tmp_path), **settings).values()
    assert good["found"][0]["label"] == "POSITIVE"
    assert f"defaulted to {own}" in good["stderr"]
    assert full["error"] == "ModelStoreError"
    assert full["sentence"].startswith(f"The qa model could not be written to {own}/llms-by-hand/models/heads (")
    assert full["sentence"].endswith("; free 100 MB there, or set COURSE_MODELS_DIR to a folder that can be written.")
    made = [name for name in files["found"] if not name.endswith(".lock")]
    assert [name.partition("-")[0] for name in made] == ["sentiment"]  # nothing half-made stays behind
    assert named["sentence"] == UNREACHABLE.format("bert-base-cased")
    assert not (store / "heads").exists()


BEFORE_AND_AFTER = """
import os
from transformers import pipelines
from transformers.utils import hub
from huggingface_hub import constants

def state():
    registry = pipelines.PIPELINE_REGISTRY
    names = registry.supported_tasks, registry.task_aliases, pipelines.REMOVED_TASKS, constants.HF_HUB_OFFLINE
    return *map(repr, names), hub.cached_files, os.environ.get("HF_HUB_OFFLINE")

untouched = state()
from course_utils.models import use_course_models
from course_utils.models.pipelines import load_pipeline
import course_utils.models.course_models
"""


def test_nothing_is_touched_before_the_call(tmp_path):
    lines = ["state() == untouched"]
    lines += ["load_pipeline('question-answering')(question='who?', context='it is sylvain')['answer']"]
    lines += ["[mine is yours for mine, yours in zip(state()[:5], untouched[:5])][4], state()[:5] == untouched[:5]"]
    first, answer, second = run_lines(BEFORE_AND_AFTER, lines).values()
    assert first["found"] is True
    assert "sylvain" in answer["found"]
    assert second["found"] == [True, True]


def state():
    """All that `use_course_models` may change."""
    names = PIPELINE_REGISTRY.supported_tasks, PIPELINE_REGISTRY.task_aliases, pipelines.REMOVED_TASKS
    settings = constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE"), transformers_hub.cached_files
    return *map(dict, names), *settings


def test_the_call_can_be_undone():
    untouched = state()
    with use_course_models() as changes:
        assert state() != untouched
        assert repr(changes) == "<pipeline(task) finds the models of the embedded profile; .undo() takes that back>"
        assert use_course_models() is not changes  # a second call starts over; it doesn't pile up
    use_course_models().undo()
    assert state() == untouched
    with pytest.raises(KeyError, match="question-answering has been removed"):
        pipeline("question-answering")


def test_a_task_of_ones_own_survives_the_undoing():
    with use_course_models():
        PIPELINE_REGISTRY.supported_tasks["short-answer"] = PIPELINE_REGISTRY.supported_tasks["question-answering"]
    assert PIPELINE_REGISTRY.supported_tasks.pop("short-answer")["impl"].__name__ == "QuestionAnsweringPipeline"


def test_a_wrong_profile_changes_nothing(monkeypatch):
    untouched = state()
    monkeypatch.setenv("COURSE_MODELS", "cloud")
    with pytest.raises(ValueError, match=r"^COURSE_MODELS must be one of "):
        use_course_models()
    assert state() == untouched


def test_the_hub_may_be_asked_when_a_variable_says_so(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with use_course_models():
        assert constants.HF_HUB_OFFLINE is False


NEVER_ASKED = """
import json, os, sys
asked = []
def watch(event, details):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        asked.append([event, repr(details[:3])])
sys.addaudithook(watch)  # nothing in this process asks the system for a connection or an address without it
import huggingface_hub, transformers
from transformers import pipeline, AutoTokenizer
"""
LOADS = {
    "the language model": "from course_utils.models import load_causal_lm; load_causal_lm().encode('x')",
    "the encoder": "from course_utils.models import load_encoder; load_encoder().embed(['x'])",
    "pipelines": """
from course_utils.models.pipelines import load_pipeline, pipeline_tasks
for task in sorted({*pipeline_tasks()} - {"text2text-generation"}):  # only the hub has it
    load_pipeline(task, models="embedded")
""",
    "plain pipelines": """
from course_utils.models import use_course_models
use_course_models()
for task in ("sentiment-analysis", "ner", "text-generation", "fill-mask", "feature-extraction", "summarization"):
    pipeline(task)
""",
}


FORK = """
import json, os, sys, traceback
{begin}
for name, settings, code in {cases!r}:
    if os.fork() == 0:
        try:
            os.environ.update(settings)
            exec(code, globals())
            print(json.dumps([name, found]), flush=True)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.wait()
"""


def in_forks(begin, cases, **settings):
    """Run `begin` in a new process and each case in a copy of it: its name, settings, and code that sets `found`.

    What every case would import again, `begin` imports once. Returns what each found, by its name.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "COURSE_MODELS")}
    code = FORK.format(begin=begin, cases=cases)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment | settings, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert [*found] == [name for name, *_ in cases], done.stderr[-3000:]
    return found


PROFILES = ["", "embedded", "hub"]
NEVER = [  # under the profile "hub", the plain pipelines ask the hub, as they should
    (f"{name}, {profile!r}", {"COURSE_MODELS": profile}, f"{lines}\nfound = asked")
    for name, lines in LOADS.items()
    for profile in PROFILES
    if not (profile == "hub" and "use_course_models" in lines)
]
VARIABLES = [None, "", "0", "1"]
SWITCH = [(f"{profile!r}, {variable!r}", profile, variable) for profile in PROFILES for variable in VARIABLES]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return in_forks(NEVER_ASKED, NEVER, HF_HUB_OFFLINE="", HF_HOME=str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("name", [name for name, *_ in NEVER])
def test_loading_never_asks_the_network_also_after_transformers(asked, name):
    assert asked[name] == []


def test_a_question_to_the_network_would_be_seen(tmp_path):
    """The same process, allowed to ask: it does, at an address where nobody answers."""
    ask = "import time\ntime.sleep = lambda seconds: None  # between the client's tries\n"
    ask += "try:\n    AutoTokenizer.from_pretrained('nobody/nothing')\nexcept Exception:\n    pass"
    code = f"{NEVER_ASKED}{LOADS['the encoder']}\n{ask}\nprint(json.dumps(asked))"
    settings = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True)
    assert "127.0.0.1" in done.stdout.splitlines()[-1], done.stderr[-3000:]


@pytest.fixture(scope="module")
def offline_modes():
    """What the client says in a process that imports the course first; PyTorch is neither of them."""
    code = "import course_utils, huggingface_hub\nfound = huggingface_hub.is_offline_mode()"
    cases = []
    for name, profile, variable in SWITCH:
        settings = {"COURSE_MODELS": profile} | ({} if variable is None else {"HF_HUB_OFFLINE": variable})
        cases.append((name, settings, code))
    return in_forks("import torch\nassert 'huggingface_hub' not in sys.modules", cases)


@pytest.mark.parametrize("case", SWITCH, ids=lambda case: case[0])
def test_the_clients_own_switch_is_set_before_anyone_can_ask(offline_modes, case):
    name, profile, variable = case
    assert offline_modes[name] == (variable == "1" or (profile != "hub" and variable != "0"))


# A process for each module, in which it's the first of the course. It ends where the module wants transformers or the
# hub's client, with what the client's switch is then.
EACH_FIRST = """
import importlib, os, sys
import anywidget, matplotlib.figure, numpy, torch  # shared, and none of them imports the client
class Ends:
    def find_spec(self, name, *_):
        if name == "transformers":
            constants = sys.modules.get("huggingface_hub.constants")
            print(module, constants and constants.HF_HUB_OFFLINE, flush=True)
            os._exit(0)
sys.meta_path.insert(0, Ends())
assert "huggingface_hub" not in sys.modules
for module in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(module)
        os._exit(0)
    assert os.wait()[1] == 0, module
"""


def test_whatever_of_the_course_comes_first_the_client_is_offline():
    package = ROOT / "course_utils"
    files = [path.relative_to(ROOT).with_suffix("") for path in package.rglob("*.py") if path.stem != "__init__"]
    modules = sorted(".".join(path.parts) for path in files)
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "COURSE_MODELS")}
    code = [sys.executable, "-P", "-c", EACH_FIRST, *modules]
    done = subprocess.run(code, env=environment, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    offline_at = dict(line.split() for line in done.stdout.splitlines())
    assert set(offline_at.values()) == {"True"}, offline_at
    some = ("engine.generate", "models.course_models", "traces.masks", "widgets.sampling_lab")
    assert offline_at.keys() > {f"course_utils.{name}" for name in some}


@pytest.fixture
def ours(monkeypatch):
    """As in a process that imported the course before the hub's client."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(offline, "is_ours", True)


def test_after_a_change_of_profile_the_hub_may_be_asked(monkeypatch, ours):
    monkeypatch.setenv("COURSE_MODELS", "hub")
    monkeypatch.setattr("course_utils.models.course_models.check_reachable", lambda: None)
    with use_course_models():
        assert not constants.is_offline_mode()


def test_a_variable_that_is_set_after_the_import_counts_too(monkeypatch, ours):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with use_course_models():
        assert not constants.is_offline_mode()


def test_who_went_offline_stays_it(monkeypatch, ours):
    monkeypatch.setattr(offline, "is_ours", False)
    hub_profile.ask_again()
    assert constants.is_offline_mode()


def test_a_model_of_the_hub_can_be_asked_for_after_one_of_the_course(monkeypatch, ours):
    def download(local_files_only=False, **_):
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        return "online" if not constants.is_offline_mode() else "offline"

    monkeypatch.setattr(hub_profile, "snapshot_download", download)
    monkeypatch.setattr(hub_profile, "check_reachable", lambda: None)
    assert hub_profile.fetch_from_hub(hub_profile.HUB_MODELS["ner"]) == Path("online")


def test_a_model_of_ones_own_is_not_checked():
    """The sentences about texts are for the course's models; another model gets what transformers would do."""
    with use_course_models():
        own = pipeline("text-generation", model=tiny_model("llama"), tokenizer=tiny_tokenizer(), device="cpu")
        with pytest.raises(IndexError):
            own([])
        ours = pipeline("sentiment-analysis", model=path("sentiment-analysis"), device="cpu")
        with pytest.raises(ValueError, match=r"^texts must hold at least one text, got an empty list$"):
            ours([])


def test_load_pipeline_and_the_plain_line_are_the_same():
    asked = {"question": "where do i work?", "context": HUGGING_FACE}
    with use_course_models():
        plain = pipeline("question-answering", device="cpu")(**asked)
        tagged = pipeline("ner", device="cpu", grouped_entities=True)(HUGGING_FACE)
    assert plain == pytest.approx(load_pipeline("question-answering")(**asked), abs=1e-5)
    assert str(tagged) == str(load_pipeline("ner", aggregation_strategy="simple")(HUGGING_FACE))
