"""What a harmless reward could be worth: heads of several formulations on frozen features of the default policy, beside their controls. Its figures are in ../README.md.

    python studies/rewards/trial-harmless.py MODEL.gguf DATA WORK        (extracts features to WORK; may be stopped and goes on where it was)
    python studies/rewards/trial-harmless.py MODEL.gguf DATA WORK fit    (fits on what there is)

Needs torch, transformers, gguf, accelerate and scikit-learn (PyPI). Reads the last question (at most its last 64 tokens) and the answer (its first 80), in the policy's template without
a system message. Products in bfloat16.
"""
import gzip
import json
import os
import pathlib
import sys

import numpy as np

LAYERS = (10, 15, 20)
AT_ONCE = 50


def rows(data, split):
    with gzip.open(pathlib.Path(data) / f"harmlessness_pairs.{split}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def extract(model_path, data, work):
    import torch
    from transformers import AutoTokenizer, LlamaModel

    torch.set_num_threads(1)
    folder, name = os.path.split(model_path)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = LlamaModel.from_pretrained(folder, gguf_file=name, num_hidden_layers=max(LAYERS), dtype=torch.bfloat16).eval()
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)
    opening, closing, end = encode("<|im_start|>user\n"), encode("<|im_end|>\n<|im_start|>assistant\n"), encode("<|im_end|>")
    for split in ("test", "train"):
        pairs = rows(data, split)
        for start in range(0, len(pairs), AT_ONCE):
            target = pathlib.Path(work) / f"harmless-{split}-{start:05}.npy"
            if target.exists():
                continue
            items = []
            for row in pairs[start:start + AT_ONCE]:
                prompt = opening + encode(row["messages"][-1]["content"])[-64:] + closing
                items += [(prompt, encode(row[side])[:80] + end) for side in ("chosen", "rejected")]
            features = np.zeros((len(items), len(LAYERS), 3, model.config.hidden_size), np.float16)
            order = sorted(range(len(items)), key=lambda index: len(items[index][0]) + len(items[index][1]))
            for at in range(0, len(order), 20):
                group = order[at:at + 20]
                tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(items[index][0] + items[index][1]) for index in group], batch_first=True)
                with torch.no_grad():
                    states = model(tokens, attention_mask=None, output_hidden_states=True, use_cache=False).hidden_states
                for row, index in enumerate(group):
                    begin, length = len(items[index][0]), len(items[index][0]) + len(items[index][1])
                    for place, layer in enumerate(LAYERS):
                        own = states[layer][row].float()
                        features[index, place] = torch.stack([own[begin:max(length - 1, begin + 1)].mean(0), own[length - 1], own[begin - 1]]).clamp(-6e4, 6e4).numpy()
            np.save(target, features)
            print(split, start + len(items) // 2, flush=True)


def fit(data, work):
    from sklearn.decomposition import PCA
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.pipeline import FeatureUnion

    loaded = {}
    for split in ("train", "test"):
        files = sorted(pathlib.Path(work).glob(f"harmless-{split}-*.npy"))
        features = np.concatenate([np.load(file) for file in files]).astype(np.float32)
        loaded[split] = features.reshape(len(features) // 2, 2, len(LAYERS), 3, -1), rows(data, split)[:len(features) // 2]
    print({split: len(pairs) for split, (_, pairs) in loaded.items()}, "pairs")

    def report(name, differences):
        """Pair accuracy of a linear Bradley-Terry head; its strength of regularisation by 5-fold cross-validation on the training pairs."""
        train, test = differences
        scale = train.std(0) + 1e-6
        train, test = train / scale, test / scale
        both = lambda one: (np.concatenate([one, -one]), np.repeat([1, 0], len(one)))
        learn = lambda one, strength: LogisticRegression(C=strength, fit_intercept=False, max_iter=500).fit(*both(one))
        folds = list(KFold(5, shuffle=True, random_state=1).split(train))
        right = {strength: np.mean([(train[held] @ learn(train[kept], strength).coef_[0] > 0).mean() for kept, held in folds]) for strength in (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}
        best = max(right, key=right.get)
        margins = test @ learn(train, best).coef_[0]
        accuracy = (margins > 0).mean() + (margins == 0).mean() / 2
        print(f"{name:60} {100 * accuracy:.1f} % +- {100 * (accuracy * (1 - accuracy) / len(test)) ** 0.5:.1f} %   cross-validated {100 * right[best]:.1f} %", flush=True)
        return margins

    splits = ("train", "test")
    lengths = lambda split: np.array([len(pair["rejected"]) - len(pair["chosen"]) for pair in loaded[split][1]], float)
    print(f"{'the shorter answer':60} {100 * ((lengths('test') > 0) + (lengths('test') == 0) / 2).mean():.1f} %")
    margins = {}
    for place, layer in enumerate(LAYERS):
        for pooling, what in enumerate(("mean", "end")):
            difference = [loaded[split][0][:, 0, place, pooling] - loaded[split][0][:, 1, place, pooling] for split in splits]
            margins[layer, what] = report(f"layer {layer}, {what} of the answer", difference)
    joined = [np.concatenate([loaded[split][0][:, 0, place, pooling] - loaded[split][0][:, 1, place, pooling] for place in range(len(LAYERS)) for pooling in (0, 1)], 1) for split in splits]
    report("all layers, mean and end together", joined)
    # What is wrong to say depends on what was asked: products of the main directions of question and answer.
    for place, layer in enumerate(LAYERS):
        scale = lambda states: states / (loaded["train"][0][:, :, place, 0].std((0, 1)) + 1e-6)
        asked, answered = PCA(24, random_state=1).fit(scale(loaded["train"][0][:, 0, place, 2])), PCA(24, random_state=1).fit(scale(loaded["train"][0][:, :, place, 0].reshape(-1, loaded["train"][0].shape[-1])))
        difference = []
        for split in splits:
            states = loaded[split][0]
            question = asked.transform(scale(states[:, 0, place, 2]))
            change = answered.transform(scale(states[:, 0, place, 0])) - answered.transform(scale(states[:, 1, place, 0]))
            products = (question[:, :, None] * change[:, None, :]).reshape(len(states), -1)
            difference.append(np.concatenate([scale(states[:, 0, place, 0] - states[:, 1, place, 0]), products / products.std()], 1))
        report(f"layer {layer}, mean, with products of question and answer", difference)
    words = FeatureUnion([("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)), ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=5, sublinear_tf=True))])
    plain = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    for name, vectorizer in (("TF-IDF of words", plain), ("TF-IDF of words and characters", words)):
        vectorizer.fit([pair[side] for pair in loaded["train"][1] for side in ("chosen", "rejected")])
        train, test = [vectorizer.transform([pair["chosen"] for pair in loaded[split][1]]) - vectorizer.transform([pair["rejected"] for pair in loaded[split][1]]) for split in splits]
        from scipy.sparse import vstack
        model = LogisticRegression(C=3, fit_intercept=False, max_iter=500).fit(vstack([train, -train]), np.repeat([1, 0], train.shape[0]))
        tfidf = test @ model.coef_[0]
        accuracy = (tfidf > 0).mean()
        print(f"{name:60} {100 * accuracy:.1f} % +- {100 * (accuracy * (1 - accuracy) / len(tfidf)) ** 0.5:.1f} %")
    for key in margins:
        both = margins[key] / margins[key].std() + tfidf / tfidf.std()
        print(f"layer {key[0]}, {key[1]}, and TF-IDF in equal parts".ljust(60), f"{100 * (both > 0).mean():.1f} %")


if sys.argv[4:] == ["fit"]:
    fit(*sys.argv[2:4])
else:
    extract(*sys.argv[1:4])
