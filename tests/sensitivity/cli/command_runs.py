"""A short run of every command, which the tests of all commands use. A new command is a row here."""

RUNS = {
    "bound": "--d 2 --step 0.1 --n-steps 10",
    "certify": "--d 2 --step 0.1 --n-steps 3",
    "claims": "table_1_counts",
    "compare": "lstm hamiltonian --d 4 --n-steps 10",
    "completion": "bash",
    "demo": "--out demo.png",
    "directions": "--d 2 --step 0.1 --n-steps 40",
    "falsify": "--cases 3",
    "growth": "--d 2 --step 0.1 --n-steps 20",
    "heuristic": "--seeds 2",
    "memory": "--d 2 --n-steps 10 --step 0.1",
    "norm": "--d 2 --step 0.1 --n-steps 10",
    "notebooks": "copies",
    "parameters": "--d 2 --step 0.1 --n-steps 10",
    "profile": "--d 2 --step 0.1 --n-steps 10",
    "prove": "lemma_3_1",
    "recommend": "--d 2 --n-steps 5",
    "report": "--d 2 --step 0.1 --n-steps 10",
    "reproduce figures": "--quick --out figures",
    "reproduce mnist": "--so-far --out mnist",
    "reproduce pictures": "ellipse --out pictures",
    "reproduce tables": "--quick --task xor --out tables",
    "schemes": "leapfrog",
    "sweep": "study.toml --out study",
    "train": "xor --n-steps 10 --train 100 --test 100 --d 2 --epochs 1",
    "verify": "study",
    "windows": "--d 2 --step 0.1 --n-steps 20",
}
"""Command → the arguments that make it short, in a folder with a study in study.toml."""

LONG = {"heuristic", "reproduce figures", "reproduce tables"}
"""Commands that are short only where a test has put a small plan in place of their own."""
