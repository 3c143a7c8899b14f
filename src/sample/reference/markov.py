"""Writes markov.json: what transformers' `generate` returns for a Markov chain of logits.

    python markov.py > markov.json

Needs torch and transformers 5; shares no code with the decoder it checks.
"""

import itertools
import json

import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

VOCAB, END = 13, 5


class ChainConfig(PretrainedConfig):
    model_type = "chain"


class Chain(PreTrainedModel, GenerationMixin):
    """Logits depend on the last token and, so that no two texts tie, a little on the length."""

    config_class = ChainConfig

    def __init__(self, config, table):
        super().__init__(config)
        self.table = torch.nn.Parameter(table)

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, attention_mask=None, **_):
        lengths = torch.arange(1, input_ids.shape[1] + 1)
        return CausalLMOutput(logits=self.table[input_ids] + self.table[lengths % VOCAB] / 4)


def table(seed):
    """Multiples of 1/256, exact in every precision; END is likely."""
    state, rows = seed, []
    for _ in range(VOCAB):
        row = []
        for token in range(VOCAB):
            state = (state * 1103515245 + 12345) % 2**31
            row.append((state // 2**16 % 1024 - 512) / 256 + (0.75 if token == END else 0.0))
        rows.append(row)
    return torch.tensor(rows)


cases = []
grid = itertools.product(
    [1, 2, 3, 5], [0.0, 1.0, 2.5, -1.0], [1.0, 1.4, 0.8], [0, 4], [None, END], [1, 2, 9]
)
for number, (beams, length_penalty, repetition_penalty, least, end, most) in enumerate(grid):
    if least > most or (end is None and least) or (beams == 1 and length_penalty != 1.0):
        continue
    seed = 1 + number
    model = Chain(ChainConfig(vocab_size=VOCAB), table(seed)).eval()
    prompt = [number % VOCAB, (3 * number + 1) % VOCAB, (7 * number) % VOCAB]
    prompt = [token if token != END else 0 for token in prompt]
    ids = torch.tensor([prompt])
    settings = GenerationConfig(
        num_beams=beams, length_penalty=length_penalty, repetition_penalty=repetition_penalty,
        min_new_tokens=least or None, max_new_tokens=most, do_sample=False, early_stopping=False,
        eos_token_id=end, pad_token_id=0, use_cache=False,
    )
    with torch.no_grad():
        text = model.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )[0, 3:].tolist()
    if end in text:
        text = text[: text.index(end) + 1]
    cases.append([seed, prompt, beams, length_penalty, repetition_penalty, least, most, end, text])

source = f"markov.py with transformers {transformers.__version__}, torch {torch.__version__}"
columns = "seed prompt beams length_penalty repetition_penalty min max end text".split()
lines = ",\n".join(json.dumps(case) for case in cases)
print(f'{{"source": {json.dumps(source)}, "columns": {json.dumps(columns)}, "cases": [\n{lines}\n]}}')
