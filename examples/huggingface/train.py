"""Trains a tiny text classifier with the HuggingFace Trainer. Two lines of it are about tuning."""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from trialjob.reporting.huggingface import TrialjobCallback, last_checkpoint

HERE = Path(__file__).parent


class Reviews(torch.utils.data.Dataset):
    def __init__(self, rows: list[dict[str, str]], tokenizer: PreTrainedTokenizerFast) -> None:
        texts = [row["text"] for row in rows]
        self.tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=16)
        self.labels = [int(row["label"]) for row in rows]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = {name: torch.tensor(values[index]) for name, values in self.tokens.items()}
        return {**item, "labels": torch.tensor(self.labels[index])}


def word_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"]))
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]")


def accuracy(prediction: object) -> dict[str, float]:
    guesses = np.argmax(prediction.predictions, axis=-1)
    return {"accuracy": float((guesses == prediction.label_ids).mean())}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--epochs", type=float, default=9)
    options = parser.parse_args()
    # With checkpoints in the trial's own folder, another attempt goes on from them.
    folder = os.environ.get("TRIALJOB_CHECKPOINT_DIR", "checkpoints")

    with (HERE / "reviews.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tokenizer = word_tokenizer([row["text"] for row in rows])
    torch.manual_seed(0)
    torch.set_num_threads(1)  # several trials share this machine
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            learning_rate=options.learning_rate,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=16,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            report_to=[],
            use_cpu=not torch.cuda.is_available(),
            ddp_backend="gloo" if "WORLD_SIZE" in os.environ and not torch.cuda.is_available() else None,
            disable_tqdm=True,
            seed=0,
        ),
        train_dataset=Reviews(rows[:192], tokenizer),
        eval_dataset=Reviews(rows[192:], tokenizer),
        compute_metrics=accuracy,
        callbacks=[TrialjobCallback()],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))


if __name__ == "__main__":
    main()
