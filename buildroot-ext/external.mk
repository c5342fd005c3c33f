include $(sort $(wildcard $(BR2_EXTERNAL_A7670E_PATH)/package/*/*.mk))
