// The shim.
#pragma once
