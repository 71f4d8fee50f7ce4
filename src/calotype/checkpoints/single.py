"""Single files: a whole model under the names of the original code, or one network in either layout."""

from dataclasses import dataclass, replace
from pathlib import Path

from calotype.checkpoints import keys, ldm
from calotype.checkpoints.checkpoint import Checkpoint, Source
from calotype.checkpoints.shapes import model_config, resized, text_config, unet_config, vae_config
from calotype.checkpoints.sniff import Kind, kind_of, open_file
from calotype.checkpoints.stored import TensorFile, Weights
from calotype.configs import ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.errors import CalotypeError


def read_single(path: Path, ema: bool = False) -> Checkpoint:
    """The model in the single file at ``path``, named after it; only its header is read.

    With ``ema`` the U-Net's parameters are their running averages, which some files hold beside them. Raises
    CalotypeError if the file is damaged, is no whole model, or holds weights that no network has.
    """
    file = open_file(path)
    kind = kind_of(file.weights)
    if kind.content != "model":
        raise CalotypeError(f"{path} is not a whole model, but {_advice(kind)}.")
    weights = ldm.regular(_averaged(file) if ema else file.weights)
    named = {key: weights[key] for key in ldm.without_junk(weights)}
    config = _config(file, named)
    tables = ldm.model_names(config)
    prefixes = (*ldm.text_prefixes(config), ldm.VAE, ldm.UNET)
    sources = [
        Source(path, table, {key: stored for key, stored in named.items() if key.startswith(prefix)})
        for prefix, table in zip(prefixes, tables, strict=True)
    ]
    if strangers := named.keys() - {key for source in sources for key in source.weights}:
        raise CalotypeError(
            f"{path} has unknown weights {keys.few(strangers)}: it is of a kind that Calotype does not know."
        )
    undecided = config.schedule.parameterization == "epsilon" and _may_predict_v(config) and not _says(file)
    return Checkpoint(
        path, f"single file, {file.format}", config, tuple(sources[:-2]), sources[-2], sources[-1],
        metadata=file.metadata, undecided=undecided,
    )  # fmt: skip


@dataclass(frozen=True)
class LoneNetwork:
    """One network alone in a file."""

    kind: Kind
    format: str
    config: TextConfig | VaeConfig | UNetConfig
    source: Source
    metadata: dict[str, str]


def read_lone(path: Path) -> LoneNetwork:
    """The one network in the file at ``path``, in the original layout or diffusers'; only its header is read.

    Raises CalotypeError if the file is damaged, or holds anything else.
    """
    file = open_file(path)
    kind = kind_of(file.weights)
    if kind.content is None or kind.content == "model":
        raise CalotypeError(
            f"{path} is not a Stable Diffusion's autoencoder, U-Net or text encoder alone, but {_advice(kind)}."
        )
    inner = _under(file.weights, kind.prefix)
    original = kind.content == "U-Net" and "input_blocks.0.0.weight" in inner
    original |= kind.content == "autoencoder" and "encoder.down.0.block.0.conv1.weight" in inner
    original |= kind.content == "text encoder" and "token_embedding.weight" in inner
    regular = ldm.regular(inner) if original else keys.regular(inner)
    weights = {key: regular[key] for key in ldm.without_junk(regular)}
    try:
        config, names = _network(kind, weights, original)
    except (KeyError, IndexError) as error:
        raise CalotypeError(f"{path} is not a whole {kind.content}: it lacks {error}. Fetch it again.") from error
    return LoneNetwork(kind, file.format, config, Source(path, names, weights), dict(file.metadata))


def fitted(lone: LoneNetwork, model: ModelConfig) -> LoneNetwork:
    """The network as it takes its place in a model: what shapes cannot tell is the model's own.

    Raises CalotypeError if it has no place there.
    """
    new, own = lone.config, model.vae
    if isinstance(new, UNetConfig):
        return replace(lone, config=model.unet)
    if isinstance(new, VaeConfig):
        if (new.latent_channels, len(new.channels)) != (own.latent_channels, len(own.channels)):
            raise CalotypeError(
                f"{lone.source.path} is an autoencoder for another kind of model: its latents do not fit."
            )
        vae = replace(
            own, channels=new.channels, layers_per_block=new.layers_per_block, mid_attention=new.mid_attention
        )
        return replace(lone, config=vae)
    for text in model.text:
        if (text.hidden_size, text.activation) == (new.hidden_size, new.activation):
            return replace(lone, config=text, source=_cut(lone.source, text))
    raise CalotypeError(
        f"{lone.source.path} is a text encoder of another kind than this model's: it is {new.hidden_size} wide."
    )


def _cut(source: Source, own: TextConfig) -> Source:
    """Without the last layers and the projection that a model's text encoder lacks: SD 2.x leaves out OpenCLIP's."""
    modules = keys.text_names(own).keys() - ({"projection"} if own.projection_dim is None else set())
    surplus = tuple(f"{theirs}." for ours, theirs in source.names.items() if ours not in modules)
    weights = {key: stored for key, stored in source.weights.items() if not key.startswith(surplus)}
    return replace(source, weights=weights)


def _network(kind: Kind, weights: Weights, original: bool) -> tuple[TextConfig | VaeConfig | UNetConfig, keys.Names]:
    if kind.content == "U-Net":
        unet = unet_config(weights)
        return unet, ldm.unet_names(unet) if original else keys.unet_names(unet)
    if kind.content == "autoencoder":
        vae = vae_config(weights)
        return vae, ldm.vae_names(vae) if original else keys.vae_names(vae)
    text = text_config(weights)
    return text, ldm.openclip_names(text) if original else keys.text_names(text)


def _config(file: TensorFile, weights: Weights) -> ModelConfig:
    clips = [prefix for prefix in ldm.TEXT_PREFIXES if any(key.startswith(prefix) for key in weights)]
    try:
        config = model_config(
            file.path.stem,
            tuple(text_config(_under(weights, prefix)) for prefix in clips),
            vae_config(_under(weights, ldm.VAE)),
            unet_config(_under(weights, ldm.UNET)),
        )
    except (KeyError, IndexError) as error:
        raise CalotypeError(f"{file.path} is not whole: it lacks {error}. Fetch it again.") from error
    schedule = ScheduleConfig(
        parameterization="v_prediction" if _marked_v(file) else "epsilon", zero_terminal_snr=_marked_zero(file)
    )
    return resized(replace(config, schedule=schedule))


def _under(weights: Weights, prefix: str) -> Weights:
    return {key.removeprefix(prefix): stored for key, stored in weights.items() if key.startswith(prefix)}


def _averaged(file: TensorFile) -> Weights:
    averages = {key: ldm.ema_key(key) for key in file.weights if key.startswith(ldm.UNET)}
    if missing := [key for key, average in averages.items() if average not in file.weights]:
        what = "no running averages" if len(missing) == len(averages) else f"no running average of {missing[0]}"
        raise CalotypeError(f"{file.path} holds {what} (model_ema): load it without ema.")
    return file.weights | {key: file.weights[average] for key, average in averages.items()}


def _marked_v(file: TensorFile) -> bool:
    said = file.metadata.get("modelspec.prediction_type", "").casefold()
    architecture = file.metadata.get("modelspec.architecture", "")
    trained = file.metadata.get("ss_v_parameterization", "") == "True"
    return "v_pred" in file.weights or said in ("v", "v_prediction") or architecture.endswith("-768-v") or trained


def _marked_zero(file: TensorFile) -> bool:
    return "ztsnr" in file.weights or file.metadata.get("ss_zero_terminal_snr", "") == "True"


def _says(file: TensorFile) -> bool:
    said = file.metadata.get("modelspec.prediction_type", "").casefold()
    return said in ("epsilon", "eps") or file.metadata.get("modelspec.architecture", "").endswith("-v2-512")


def _may_predict_v(config: ModelConfig) -> bool:
    """SD 2.x was published both ways, in files that do not say which; what has more channels predicts the noise."""
    return config.family == "SD 2.x" and not config.purpose


def _advice(kind: Kind) -> str:
    if kind.content == "model":
        return "a whole model: give it as the model"
    if kind.content is not None:
        article = "an" if kind.content == "autoencoder" else "a"
        return f"{article} {kind.content} alone: put it into a model with Model.with_part, an autoencoder with --vae"
    return kind.other
