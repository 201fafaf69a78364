"""The messages that Caffe's files are made of, as far as a net is read from them: a table of names and numbers.

One line is one field: name, number on the wire, type, and `= default` where the format states one. `*` marks a field
that repeats, `{A:0 B:1}` an enumeration. Names and numbers are those of BVLC Caffe's files and are facts of the format;
the table holds what a net is built from and leaves out what only trains, stores or draws.

A blob's numbers are packed floats, which on the wire are one run of bytes. They are declared as `bytes` here, so that
an array can be laid over them: as numbers, each of VGG-16's 138 million would pass through a Python float.
"""

__all__ = ["SCHEMA"]

SCHEMA = """
BlobShape
  dim 1 int64*
BlobProto
  num 1 int32
  channels 2 int32
  height 3 int32
  width 4 int32
  data 5 bytes*
  diff 6 bytes*
  shape 7 BlobShape
  double_data 8 bytes*
  double_diff 9 bytes*
FillerParameter
  type 1 string = constant
  value 2 float
  min 3 float
  max 4 float = 1
  mean 5 float
  std 6 float = 1
  sparse 7 int32 = -1
  variance_norm 8 {FAN_IN:0 FAN_OUT:1 AVERAGE:2}
NetParameter
  name 1 string
  layers 2 V1LayerParameter*
  input 3 string*
  input_dim 4 int32*
  force_backward 5 bool
  state 6 NetState
  debug_info 7 bool
  input_shape 8 BlobShape*
  layer 100 LayerParameter*
SolverParameter
  net 24 string
  net_param 25 NetParameter
  train_net 1 string
  test_net 2 string*
  train_net_param 21 NetParameter
  test_net_param 22 NetParameter*
NetState
  phase 1 {TRAIN:0 TEST:1} = TEST
  level 2 int32
  stage 3 string*
NetStateRule
  phase 1 {TRAIN:0 TEST:1}
  min_level 2 int32
  max_level 3 int32
  stage 4 string*
  not_stage 5 string*
ParamSpec
  name 1 string
  share_mode 2 {STRICT:0 PERMISSIVE:1}
  lr_mult 3 float = 1
  decay_mult 4 float = 1
LayerParameter
  name 1 string
  type 2 string
  bottom 3 string*
  top 4 string*
  loss_weight 5 float*
  param 6 ParamSpec*
  blobs 7 BlobProto*
  include 8 NetStateRule*
  exclude 9 NetStateRule*
  phase 10 {TRAIN:0 TEST:1}
  propagate_down 11 bool*
  transform_param 100 TransformationParameter
  loss_param 101 LossParameter
  accuracy_param 102 AccuracyParameter
  argmax_param 103 ArgMaxParameter
  concat_param 104 ConcatParameter
  contrastive_loss_param 105 ContrastiveLossParameter
  convolution_param 106 ConvolutionParameter
  data_param 107 DataParameter
  dropout_param 108 DropoutParameter
  dummy_data_param 109 DummyDataParameter
  eltwise_param 110 EltwiseParameter
  exp_param 111 ExpParameter
  hdf5_data_param 112 HDF5DataParameter
  hdf5_output_param 113 HDF5OutputParameter
  hinge_loss_param 114 HingeLossParameter
  image_data_param 115 ImageDataParameter
  infogain_loss_param 116 InfogainLossParameter
  inner_product_param 117 InnerProductParameter
  lrn_param 118 LRNParameter
  memory_data_param 119 MemoryDataParameter
  pooling_param 121 PoolingParameter
  power_param 122 PowerParameter
  relu_param 123 ReLUParameter
  sigmoid_param 124 SigmoidParameter
  softmax_param 125 SoftmaxParameter
  slice_param 126 SliceParameter
  tanh_param 127 TanHParameter
  window_data_param 129 WindowDataParameter
  prelu_param 131 PReLUParameter
  reshape_param 133 ReshapeParameter
  log_param 134 LogParameter
  flatten_param 135 FlattenParameter
  batch_norm_param 139 BatchNormParameter
  elu_param 140 ELUParameter
  bias_param 141 BiasParameter
  scale_param 142 ScaleParameter
  input_param 143 InputParameter
  crop_param 144 CropParameter
V1LayerParameter
  layer 1 V0LayerParameter
  bottom 2 string*
  top 3 string*
  name 4 string
  type 5 {NONE:0 ABSVAL:35 ACCURACY:1 ARGMAX:30 BNLL:2 CONCAT:3 CONTRASTIVE_LOSS:37 CONVOLUTION:4 DATA:5 \
DECONVOLUTION:39 DROPOUT:6 DUMMY_DATA:32 EUCLIDEAN_LOSS:7 ELTWISE:25 EXP:38 FLATTEN:8 HDF5_DATA:9 HDF5_OUTPUT:10 \
HINGE_LOSS:28 IM2COL:11 IMAGE_DATA:12 INFOGAIN_LOSS:13 INNER_PRODUCT:14 LRN:15 MEMORY_DATA:29 \
MULTINOMIAL_LOGISTIC_LOSS:16 MVN:34 POOLING:17 POWER:26 RELU:18 SIGMOID:19 SIGMOID_CROSS_ENTROPY_LOSS:27 SILENCE:36 \
SOFTMAX:20 SOFTMAX_LOSS:21 SPLIT:22 SLICE:33 TANH:23 WINDOW_DATA:24 THRESHOLD:31}
  blobs 6 BlobProto*
  blobs_lr 7 float*
  weight_decay 8 float*
  concat_param 9 ConcatParameter
  convolution_param 10 ConvolutionParameter
  data_param 11 DataParameter
  dropout_param 12 DropoutParameter
  hdf5_data_param 13 HDF5DataParameter
  hdf5_output_param 14 HDF5OutputParameter
  image_data_param 15 ImageDataParameter
  infogain_loss_param 16 InfogainLossParameter
  inner_product_param 17 InnerProductParameter
  lrn_param 18 LRNParameter
  pooling_param 19 PoolingParameter
  window_data_param 20 WindowDataParameter
  power_param 21 PowerParameter
  memory_data_param 22 MemoryDataParameter
  argmax_param 23 ArgMaxParameter
  eltwise_param 24 EltwiseParameter
  dummy_data_param 26 DummyDataParameter
  accuracy_param 27 AccuracyParameter
  hinge_loss_param 29 HingeLossParameter
  relu_param 30 ReLUParameter
  slice_param 31 SliceParameter
  include 32 NetStateRule*
  exclude 33 NetStateRule*
  loss_weight 35 float*
  transform_param 36 TransformationParameter
  tanh_param 37 TanHParameter
  sigmoid_param 38 SigmoidParameter
  softmax_param 39 SoftmaxParameter
  contrastive_loss_param 40 ContrastiveLossParameter
  exp_param 41 ExpParameter
  loss_param 42 LossParameter
  param 1001 string*
  blob_share_mode 1002 {STRICT:0 PERMISSIVE:1}*
V0LayerParameter
  name 1 string
  type 2 string
TransformationParameter
  scale 1 float = 1
  mirror 2 bool
  crop_size 3 uint32
  mean_file 4 string
  mean_value 5 float*
  force_color 6 bool
  force_gray 7 bool
LossParameter
  ignore_label 1 int32
  normalize 2 bool
  normalization 3 {FULL:0 VALID:1 BATCH_SIZE:2 NONE:3} = VALID
AccuracyParameter
  top_k 1 uint32 = 1
  axis 2 int32 = 1
  ignore_label 3 int32
ArgMaxParameter
  out_max_val 1 bool
  top_k 2 uint32 = 1
  axis 3 int32
ConcatParameter
  concat_dim 1 uint32 = 1
  axis 2 int32 = 1
BatchNormParameter
  use_global_stats 1 bool
  moving_average_fraction 2 float = 0.999
  eps 3 float = 0.00001
BiasParameter
  axis 1 int32 = 1
  num_axes 2 int32 = 1
  filler 3 FillerParameter
ContrastiveLossParameter
  margin 1 float = 1
  legacy_version 2 bool
ConvolutionParameter
  num_output 1 uint32
  bias_term 2 bool = true
  pad 3 uint32*
  kernel_size 4 uint32*
  group 5 uint32 = 1
  stride 6 uint32*
  weight_filler 7 FillerParameter
  bias_filler 8 FillerParameter
  pad_h 9 uint32
  pad_w 10 uint32
  kernel_h 11 uint32
  kernel_w 12 uint32
  stride_h 13 uint32
  stride_w 14 uint32
  engine 15 {DEFAULT:0 CAFFE:1 CUDNN:2}
  axis 16 int32 = 1
  force_nd_im2col 17 bool
  dilation 18 uint32*
CropParameter
  axis 1 int32 = 2
  offset 2 uint32*
DataParameter
  source 1 string
  scale 2 float = 1
  mean_file 3 string
  batch_size 4 uint32
  crop_size 5 uint32
  mirror 6 bool
  rand_skip 7 uint32
  backend 8 {LEVELDB:0 LMDB:1}
  force_encoded_color 9 bool
  prefetch 10 uint32 = 4
DropoutParameter
  dropout_ratio 1 float = 0.5
DummyDataParameter
  data_filler 1 FillerParameter*
  num 2 uint32*
  channels 3 uint32*
  height 4 uint32*
  width 5 uint32*
  shape 6 BlobShape*
EltwiseParameter
  operation 1 {PROD:0 SUM:1 MAX:2} = SUM
  coeff 2 float*
  stable_prod_grad 3 bool = true
ELUParameter
  alpha 1 float = 1
ExpParameter
  base 1 float = -1
  scale 2 float = 1
  shift 3 float
FlattenParameter
  axis 1 int32 = 1
  end_axis 2 int32 = -1
HDF5DataParameter
  source 1 string
  batch_size 2 uint32
  shuffle 3 bool
HDF5OutputParameter
  file_name 1 string
HingeLossParameter
  norm 1 {L1:1 L2:2} = L1
ImageDataParameter
  source 1 string
  scale 2 float = 1
  mean_file 3 string
  batch_size 4 uint32 = 1
  crop_size 5 uint32
  mirror 6 bool
  rand_skip 7 uint32
  shuffle 8 bool
  new_height 9 uint32
  new_width 10 uint32
  is_color 11 bool = true
  root_folder 12 string
InfogainLossParameter
  source 1 string
  axis 2 int32 = 1
InnerProductParameter
  num_output 1 uint32
  bias_term 2 bool = true
  weight_filler 3 FillerParameter
  bias_filler 4 FillerParameter
  axis 5 int32 = 1
  transpose 6 bool
InputParameter
  shape 1 BlobShape*
LogParameter
  base 1 float = -1
  scale 2 float = 1
  shift 3 float
LRNParameter
  local_size 1 uint32 = 5
  alpha 2 float = 1
  beta 3 float = 0.75
  norm_region 4 {ACROSS_CHANNELS:0 WITHIN_CHANNEL:1}
  k 5 float = 1
  engine 6 {DEFAULT:0 CAFFE:1 CUDNN:2}
MemoryDataParameter
  batch_size 1 uint32
  channels 2 uint32
  height 3 uint32
  width 4 uint32
PoolingParameter
  pool 1 {MAX:0 AVE:1 STOCHASTIC:2}
  kernel_size 2 uint32
  stride 3 uint32 = 1
  pad 4 uint32
  kernel_h 5 uint32
  kernel_w 6 uint32
  stride_h 7 uint32
  stride_w 8 uint32
  pad_h 9 uint32
  pad_w 10 uint32
  engine 11 {DEFAULT:0 CAFFE:1 CUDNN:2}
  global_pooling 12 bool
  round_mode 13 {CEIL:0 FLOOR:1}
PowerParameter
  power 1 float = 1
  scale 2 float = 1
  shift 3 float
PReLUParameter
  filler 1 FillerParameter
  channel_shared 2 bool
ReLUParameter
  negative_slope 1 float
  engine 2 {DEFAULT:0 CAFFE:1 CUDNN:2}
ReshapeParameter
  shape 1 BlobShape
  axis 2 int32
  num_axes 3 int32 = -1
ScaleParameter
  axis 1 int32 = 1
  num_axes 2 int32 = 1
  filler 3 FillerParameter
  bias_term 4 bool
  bias_filler 5 FillerParameter
SigmoidParameter
  engine 1 {DEFAULT:0 CAFFE:1 CUDNN:2}
SliceParameter
  slice_dim 1 uint32 = 1
  slice_point 2 uint32*
  axis 3 int32 = 1
SoftmaxParameter
  engine 1 {DEFAULT:0 CAFFE:1 CUDNN:2}
  axis 2 int32 = 1
TanHParameter
  engine 1 {DEFAULT:0 CAFFE:1 CUDNN:2}
WindowDataParameter
  source 1 string
  scale 2 float = 1
  mean_file 3 string
  batch_size 4 uint32
  crop_size 5 uint32
  mirror 6 bool
  fg_threshold 7 float = 0.5
  bg_threshold 8 float = 0.5
  fg_fraction 9 float = 0.25
  context_pad 10 uint32
  crop_mode 11 string = warp
  cache_images 12 bool
  root_folder 13 string
"""
