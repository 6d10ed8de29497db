"""Training in PyTorch, written for speed on a processor: alone or, under torchrun, data-parallel (DDP, gloo).

    python torch_fit.py NETWORK DATA.npz BATCH EPOCHS OPTIMIZER

bfloat16 by autocast, channels last, the fused optimizer, bytes kept in memory and scaled batch by batch, one
core's share of threads for each rank. BATCH counts the images of a step over all ranks. Prints a line of JSON.
"""

import json
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_networks import NETWORKS

FIRST_STEPS = 20


def main() -> None:
    network, file, batch_text, epochs_text, optimizer_name = sys.argv[1:]
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cores = sorted(os.sched_getaffinity(0))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
        cores = cores[rank * len(cores) // ranks : (rank + 1) * len(cores) // ranks]
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    torch.manual_seed(1)

    with np.load(file) as archive:
        images, labels = torch.from_numpy(archive["x_train"]), torch.from_numpy(archive["y_train"].astype(np.int64))
    model: nn.Module = NETWORKS[network](tuple(images.shape[1:]), int(labels.max()) + 1)
    model = model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    if optimizer_name == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(parameters, 0.001, fused=True)
    else:
        optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9, fused=True)
    if ranks > 1:
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
    batch = int(batch_text) // ranks
    steps = len(labels) // (batch * ranks)
    loss_sum, right, epoch_s, first_steps_s = torch.zeros(()), torch.zeros((), dtype=torch.int64), [], None
    for epoch in range(int(epochs_text)):
        began = time.perf_counter()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))
        mine = order[: steps * batch * ranks].view(steps, ranks, batch)[:, rank]
        for step, rows in enumerate(mine):
            inputs = images[rows].to(torch.bfloat16).div_(255).permute(0, 3, 1, 2)  # a view: channels last
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                outputs = model(inputs)
                loss = functional.cross_entropy(outputs, labels[rows])
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach()
            right += (outputs.detach().argmax(1) == labels[rows]).sum()
            if epoch == 0 and step + 1 == FIRST_STEPS:
                first_steps_s = time.time() - float(os.environ["BENCH_BEGAN"])
        float(loss_sum)
        epoch_s.append(time.perf_counter() - began)
    if rank == 0:
        said = {"images": steps * batch * ranks, "epoch_s": epoch_s, "first_steps_s": first_steps_s}
        print(json.dumps(said | {"parameters": sum(p.numel() for p in parameters), "version": torch.__version__}))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
