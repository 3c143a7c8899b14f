"""Golden values of the item measures: a tiny GPT-2 scores small texts with transformers.

    pip install torch transformers safetensors
    python tests/golden/items.py

writes items.safetensors (the weights, float32) and items.json (items, scores, versions) beside this
file. Every parameter is drawn anew, biases and layer norms too, so that none can be left out
unnoticed; all arithmetic is in float64.

The rule of tokens: a text is its UTF-8 bytes, 256 is the end token. A sequence is the end token, the
bytes of the context, and the bytes of the answer with a space before it; a minimal pair has no context
and no space. Of more than n_positions + 1 tokens the last n_positions + 1 are read. Log-probabilities
are those of the answer's bytes, each given all that stands before it.
"""

import json
import platform
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

END = 256
HERE = Path(__file__).parent

RETENTION = [
    ("The mill stands by the river.", "It has ground rye since 1712.", "It has ground rye since 1902."),
    ("Ada wrote letters every day.", "Most of them were short.", "None of them was ever short or sent."),
    ("The bridge has five arches.", "The third is the widest.", "The third is the narrowest of them."),
    ("A comet was seen in May.", "Its tail pointed east.", "Its tail pointed west."),
    ("The orchard grows plums.", "They ripen in August.", "They ripen in December."),
    ("Old maps show a lake here.", "It was drained for pasture.", "It was dug for ships."),
    ("The choir sings on Sundays.", "Forty voices take part.", "Four voices take part, never more."),
    ("The café closes at nine.", "Its tables are of oak.", "Its tables are of marble."),
    ("Snow fell for three days.", "The pass was closed.", "The pass stayed open all the while."),
    ("The clock was built in Łódź.", "It strikes every hour.", "It strikes every minute."),
    ("Goats live on the island.", "They came by boat.", "They came by air."),
    ("Her second book sold well.", "It was about bees.", "It was about whales and the men who hunt them."),
    ("The tower leans to the south.", "It was never straight.", "It was straight until last year."),
    ("The ferry takes an hour.", "It runs twice a day.", "It runs by night only."),
    ("The museum is free.", "It keeps clocks.", "It keeps snakes."),
    ("The well is deep.", "No one has touched its floor.", "A child can touch its floor."),
    ('He signed as "the gardener".', "His name was Tom.", "His name is lost."),
    ("The road was paved in spring.", "Stone came from the quarry.", "Stone came from the moon."),
    # Longer than the context of 96 bytes, and answers that alone are longer.
    ("The valley was settled late, first by herders who came over the northern pass, and then by smiths.",
     "The smiths stayed.", "The smiths left again."),
    ("A short note.",
     "It tells of a journey by sea and land that took the writer from one end of the known world to the other.",
     "It tells of nothing."),
]

BLIMP = [
    ("The cats sleep.", "The cats sleeps."),
    ("A dog barks.", "A dog bark."),
    ("Who did she greet after leaving?", "Who did she greet him after leaving?"),
    ("Nora breaks the cup.", "Nora vanishes the cup."),
    ("The boys help themselves.", "The boys help himself."),
    ("Every girl was there.", "Every girl were there."),
    ("There is a nail in the wall.", "There is the every nail in the wall."),
    ("He has eaten.", "He has ate."),
    ("These pears are ripe.", "This pears are ripe."),
    ("No one ever came.", "Someone ever came."),
    ("It was the man who left.", "It was the man which leave."),
    ("She gave him a coat.", "She gave a coat him."),
    ("The book on the shelves is old.", "The book on the shelves are old."),
    ("Tim would rather walk.", "Tim would rather walks."),
    ("What did they build?", "What did they build it?"),
    ("The soup was hot.", "The soup was hotly."),
    ("I saw the house that Jack built.", "I saw the house that Jack built it."),
    ("The naïve plan failed.", "The plan naïve failed."),
    ("Few people knew.", "Few person knew."),
    ("Cold rain fell on the long road to the town and on all who walked there that day without a hat.",
     "Cold rain fell on the long road to the town and on all who walks there that day without a hat."),
]

CHOICE = [
    ("She lights the stove and", ["puts a kettle on it.", "flies away.", "sings to the moon at noon.", "is a stove."], 0),
    ("A man climbs a ladder. He", ["eats it.", "paints the wall.", "falls up.", "was never tall, nor were his sons."], 1),
    ("The dog sees a ball and", ["reads.", "thinks of taxes.", "runs after it.", "melts."], 2),
    ("Two girls row a boat. They", ["plant it.", "bake.", "sell the sea.", "reach the shore."], 3),
    ("He opens the umbrella because", ["it rains.", "it is an umbrella of umbrellas."], 0),
    ("The baker", ["kneads the dough.", "kneads the law.", "kneads the sky and then the sky again."], 0),
]


def model():
    torch.manual_seed(20250908)
    config = GPT2Config(
        vocab_size=257, n_positions=96, n_embd=16, n_layer=2, n_head=2, activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=END, eos_token_id=END,
    )
    net = GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, value in net.named_parameters():
            noise = torch.randn(value.shape)
            if name.endswith("wte.weight"):
                value.copy_(0.6 * noise)
            elif ".ln_" in name and name.endswith("weight"):
                value.copy_(1.0 + 0.2 * noise)
            elif name.endswith("bias"):
                value.copy_(0.1 * noise)
            else:
                value.copy_(0.25 * noise)
    weights = {n: v.detach().clone().contiguous() for n, v in net.named_parameters()}
    return config, net.double().eval(), weights


def tokens(net, context, answer):
    """Log-probabilities of the answer's tokens, and whether something was cut off."""
    text = f" {answer}" if context else answer
    end = list(text.encode())
    ids = [END, *context.encode(), *end]
    most = net.config.n_positions + 1
    cut = len(ids) > most
    ids = ids[-most:]
    scored = min(len(end), len(ids) - 1)
    with torch.no_grad():
        logits = net(torch.tensor([ids[:-1]])).logits[0]
    assert logits.dtype == torch.float64
    logs = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return logs[-scored:].tolist(), cut


def scored(net, context, answers, right, means):
    rows = [tokens(net, context, answer) for answer in answers]
    logs = [row[0] for row in rows]
    sums = [sum(row) for row in logs]
    means = means(logs, sums)
    first = lambda scores: all(scores[right] > s for i, s in enumerate(scores) if i != right)
    return {
        "sums": sums, "means": means, "tokens": [len(row) for row in logs], "cut": any(row[1] for row in rows),
        "right": first(sums), "right_by_mean": first(means) if means else None,
    }


def to_shorter(logs, _):
    shorter = min(len(row) for row in logs)
    return [sum(row[:shorter]) / shorter for row in logs]


def main():
    config, net, weights = model()
    save_file(weights, HERE / "items.safetensors")
    retention = [
        {"context": c, "sentence_true": t, "sentence_false": f, "location": 10 * i}
        for i, (c, t, f) in enumerate(RETENTION)
    ]
    blimp = [{"sentence_good": good, "sentence_bad": bad} for good, bad in BLIMP]
    choice = [{"ctx": c, "endings": e, "label": str(label)} for c, e, label in CHOICE]
    golden = {
        "source": f"torch {torch.__version__}, transformers {transformers.__version__}, "
        f"Python {platform.python_version()}, float64; made by tests/golden/items.py",
        "config": {
            "layers": config.n_layer, "heads": config.n_head, "channels": config.n_embd,
            "context": config.n_positions, "vocab": config.vocab_size,
        },
        "retention": {
            "items": retention,
            "scores": [scored(net, c, [t, f], 0, to_shorter) for c, t, f in RETENTION],
        },
        "blimp": {
            "items": blimp,
            "scores": [scored(net, "", [good, bad], 0, lambda *_: []) for good, bad in BLIMP],
        },
        "choice": {
            "items": choice,
            "scores": [
                scored(net, c, e, label,
                       lambda _, sums, e=e: [s / len(x.encode()) for s, x in zip(sums, e)])
                for c, e, label in CHOICE
            ],
        },
    }
    text = json.dumps(golden, indent=1, ensure_ascii=False)
    (HERE / "items.json").write_text(text + "\n", encoding="utf8")
    for kind in ["retention", "blimp", "choice"]:
        scores = golden[kind]["scores"]
        right = [sum(bool(s[key]) for s in scores) for key in ["right", "right_by_mean"]]
        print(kind, len(scores), "right by sum and mean:", right, "cut:", sum(s["cut"] for s in scores))


if __name__ == "__main__":
    main()
