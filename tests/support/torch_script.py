"""A search with PyTorch, checkpoints, rungs and promotions: `python torch_script.py FOLDER WORKERS PAUSE`."""

import sys
import time

import torch
from torch import nn

import ogive as og

SPACE = og.Space(
    og.layer(
        nn.Sequential,
        og.layer(nn.Linear, 4, og.one_of(3, 4, 5, 6, 7, 8, name="w")),
        og.layer(nn.ReLU),
        og.layer(nn.Linear, og.one_of(3, 4, 5, 6, 7, 8, name="w"), 1, bias=og.one_of(True, False)),
    ),
    example_input=(4,),
)
PAUSE = float(sys.argv[3])


def train(model, trial):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for _ in trial.epochs():
        for _ in range(3):
            inputs = torch.randn(16, 4)
            loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        time.sleep(PAUSE)
        trial.checkpoint(model=model.state_dict(), optimizer=optimizer.state_dict())
        trial.report(loss=loss)


folder, workers = sys.argv[1], int(sys.argv[2])
run = og.search(
    SPACE,
    train,
    run=folder,
    objectives=og.Objective("loss", "minimize"),
    strategy="random",
    schedule={"asha": {"eta": 2}},
    epochs=4,
    max_trials=12,
    executor="processes" if workers else "inline",
    observer=lambda state, event: print(event.kind if event else "tick", flush=True),
)
print("ended", run.ended, flush=True)
