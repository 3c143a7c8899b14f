//! What devices can do by their makers' data sheets.

use crate::Precision;

/// Multiply-adds at the boost clock, dense, two operations each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Tensor cores, bf16 with sums in f32.
    pub bf16_flops_per_s: f64,
    /// Without tensor cores.
    pub f32_flops_per_s: f64,
    /// Where the two numbers stand.
    pub source: &'static str,
}

impl Peak {
    /// For a storage.
    pub fn flops_per_s(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F32 => self.f32_flops_per_s,
            Precision::Bf16 => self.bf16_flops_per_s,
        }
    }
}

/// Of a device by the name that its driver gives; the first row that fits counts.
pub fn peak(name: &str) -> Option<Peak> {
    const A100: &str = "NVIDIA A100 data sheet, dense";
    const H100: &str = "NVIDIA H100 data sheet, dense (half of the figure with sparsity)";
    const H200: &str = "NVIDIA H200 data sheet, dense (half of the figure with sparsity)";
    const DEVICES: [(&str, f64, f64, &str); 6] = [
        ("H200 NVL", 835.5e12, 60e12, H200),
        ("H200", 989.5e12, 67e12, H200),
        ("H100 NVL", 835.5e12, 60e12, H100),
        ("H100 PCIe", 756e12, 51e12, H100),
        ("H100", 989.5e12, 67e12, H100),
        ("A100", 312e12, 19.5e12, A100),
    ];
    let found = DEVICES.iter().find(|device| name.contains(device.0));
    found.map(|&(_, bf16_flops_per_s, f32_flops_per_s, source)| Peak {
        bf16_flops_per_s,
        f32_flops_per_s,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::peak;

    #[test]
    fn devices_are_known_by_the_names_that_drivers_give_them() {
        let bf16 = |name| peak(name).map(|peak| peak.bf16_flops_per_s / 1e12);
        assert_eq!(bf16("NVIDIA H200"), Some(989.5));
        assert_eq!(bf16("NVIDIA H100 80GB HBM3"), Some(989.5));
        assert_eq!(bf16("NVIDIA H100 PCIe"), Some(756.0));
        assert_eq!(bf16("NVIDIA A100-SXM4-80GB"), Some(312.0));
        assert_eq!(bf16("CPU shim (g++ 12)"), None);
    }
}
