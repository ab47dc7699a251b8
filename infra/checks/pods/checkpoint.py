"""A checkpoint with the tensors of SD 1.5, all of them zero: enough to load it, and for images of one colour. The file is sparse."""

import json
from math import prod
from pathlib import Path
from typing import Iterator

Tensor = tuple[str, list[int]]
TIME, CONTEXT = 1280, 768


def write(path: Path) -> None:
    """As safetensors of half precision, 2.1 GB, of which a few kilobytes are on the disk."""
    header, end = {}, 0
    for name, shape in [*unet("model.diffusion_model."), *vae("first_stage_model."), *text_encoder("cond_stage_model.transformer.text_model.")]:
        begin, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def unet(at: str) -> Iterator[Tensor]:
    yield from linear(f"{at}time_embed.0", 320, TIME)
    yield from linear(f"{at}time_embed.2", TIME, TIME)
    yield from conv(f"{at}input_blocks.0.0", 4, 320, 3)
    number, channels, skipped = 1, 320, [320]
    for level, width in enumerate([320, 640, 1280, 1280]):
        for _ in range(2):
            yield from residual(f"{at}input_blocks.{number}.0", channels, width)
            if level < 3:
                yield from attention(f"{at}input_blocks.{number}.1", width)
            channels = width
            skipped.append(width)
            number += 1
        if level < 3:
            yield from conv(f"{at}input_blocks.{number}.0.op", width, width, 3)
            skipped.append(width)
            number += 1
    yield from residual(f"{at}middle_block.0", TIME, TIME)
    yield from attention(f"{at}middle_block.1", TIME)
    yield from residual(f"{at}middle_block.2", TIME, TIME)
    number = 0
    for level, width in reversed(list(enumerate([320, 640, 1280, 1280]))):
        for block in range(3):
            yield from residual(f"{at}output_blocks.{number}.0", channels + skipped.pop(), width)
            if level < 3:
                yield from attention(f"{at}output_blocks.{number}.1", width)
            if level > 0 and block == 2:
                yield from conv(f"{at}output_blocks.{number}.{2 if level < 3 else 1}.conv", width, width, 3)
            channels = width
            number += 1
    yield from norm(f"{at}out.0", 320)
    yield from conv(f"{at}out.2", 320, 4, 3)


def residual(at: str, channels: int, width: int) -> Iterator[Tensor]:
    yield from norm(f"{at}.in_layers.0", channels)
    yield from conv(f"{at}.in_layers.2", channels, width, 3)
    yield from linear(f"{at}.emb_layers.1", TIME, width)
    yield from norm(f"{at}.out_layers.0", width)
    yield from conv(f"{at}.out_layers.3", width, width, 3)
    if channels != width:
        yield from conv(f"{at}.skip_connection", channels, width, 1)


def attention(at: str, width: int) -> Iterator[Tensor]:
    yield from norm(f"{at}.norm", width)
    yield from conv(f"{at}.proj_in", width, width, 1)
    block = f"{at}.transformer_blocks.0"
    for name, context in (("attn1", width), ("attn2", CONTEXT)):
        yield f"{block}.{name}.to_q.weight", [width, width]
        yield f"{block}.{name}.to_k.weight", [width, context]
        yield f"{block}.{name}.to_v.weight", [width, context]
        yield from linear(f"{block}.{name}.to_out.0", width, width)
    yield from linear(f"{block}.ff.net.0.proj", width, 8 * width)
    yield from linear(f"{block}.ff.net.2", 4 * width, width)
    for name in ("norm1", "norm2", "norm3"):
        yield from norm(f"{block}.{name}", width)
    yield from conv(f"{at}.proj_out", width, width, 1)


def vae(at: str) -> Iterator[Tensor]:
    yield from conv(f"{at}encoder.conv_in", 3, 128, 3)
    channels = 128
    for level, width in enumerate([128, 256, 512, 512]):
        for block in range(2):
            yield from plain_residual(f"{at}encoder.down.{level}.block.{block}", channels, width)
            channels = width
        if level < 3:
            yield from conv(f"{at}encoder.down.{level}.downsample.conv", width, width, 3)
    yield from middle(f"{at}encoder")
    yield from norm(f"{at}encoder.norm_out", 512)
    yield from conv(f"{at}encoder.conv_out", 512, 8, 3)
    yield from conv(f"{at}quant_conv", 8, 8, 1)
    yield from conv(f"{at}post_quant_conv", 4, 4, 1)
    yield from conv(f"{at}decoder.conv_in", 4, 512, 3)
    yield from middle(f"{at}decoder")
    for level, width in reversed(list(enumerate([128, 256, 512, 512]))):
        for block in range(3):
            yield from plain_residual(f"{at}decoder.up.{level}.block.{block}", channels, width)
            channels = width
        if level > 0:
            yield from conv(f"{at}decoder.up.{level}.upsample.conv", width, width, 3)
    yield from norm(f"{at}decoder.norm_out", 128)
    yield from conv(f"{at}decoder.conv_out", 128, 3, 3)


def plain_residual(at: str, channels: int, width: int) -> Iterator[Tensor]:
    yield from norm(f"{at}.norm1", channels)
    yield from conv(f"{at}.conv1", channels, width, 3)
    yield from norm(f"{at}.norm2", width)
    yield from conv(f"{at}.conv2", width, width, 3)
    if channels != width:
        yield from conv(f"{at}.nin_shortcut", channels, width, 1)


def middle(at: str) -> Iterator[Tensor]:
    yield from plain_residual(f"{at}.mid.block_1", 512, 512)
    yield from norm(f"{at}.mid.attn_1.norm", 512)
    for name in ("q", "k", "v", "proj_out"):
        yield from conv(f"{at}.mid.attn_1.{name}", 512, 512, 1)
    yield from plain_residual(f"{at}.mid.block_2", 512, 512)


def text_encoder(at: str) -> Iterator[Tensor]:
    yield f"{at}embeddings.token_embedding.weight", [49408, CONTEXT]
    yield f"{at}embeddings.position_embedding.weight", [77, CONTEXT]
    for layer in range(12):
        block = f"{at}encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{block}.self_attn.{name}", CONTEXT, CONTEXT)
        yield from linear(f"{block}.mlp.fc1", CONTEXT, 4 * CONTEXT)
        yield from linear(f"{block}.mlp.fc2", 4 * CONTEXT, CONTEXT)
        yield from norm(f"{block}.layer_norm1", CONTEXT)
        yield from norm(f"{block}.layer_norm2", CONTEXT)
    yield from norm(f"{at}final_layer_norm", CONTEXT)


def linear(at: str, inputs: int, outputs: int) -> Iterator[Tensor]:
    yield f"{at}.weight", [outputs, inputs]
    yield f"{at}.bias", [outputs]


def conv(at: str, inputs: int, outputs: int, side: int) -> Iterator[Tensor]:
    yield f"{at}.weight", [outputs, inputs, side, side]
    yield f"{at}.bias", [outputs]


def norm(at: str, channels: int) -> Iterator[Tensor]:
    yield f"{at}.weight", [channels]
    yield f"{at}.bias", [channels]
