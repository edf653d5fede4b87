using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>
/// Waits for its only child and ends with that one's exit code (128 + signal where one ended it; 255 where there is no child). It is a static program of some two hundred bytes,
/// executed by who has made the child and has nothing more to do. A test disassembles both arrays and compares the result with the listings.
/// </summary>
public static class ExitRelay
{
    /// <summary>The name of its file, and so of its process (/proc/PID/comm).</summary>
    public const string Name = "exit-relay";

    // The status lies on the stack (System V AMD64 ABI, 3.4.1).
    internal static ReadOnlySpan<byte> X64 =>
    [
        0x48, 0x83, 0xec, 0x10,            // 00: sub    rsp,0x10  ; status
        0xbf, 0xff, 0xff, 0xff, 0xff,      // 04: mov    edi,0xffffffff  ; wait: wait4(-1, status, __WALL, NULL)
        0x48, 0x89, 0xe6,                  // 09: mov    rsi,rsp
        0xba, 0x00, 0x00, 0x00, 0x40,      // 0c: mov    edx,0x40000000
        0x45, 0x31, 0xd2,                  // 11: xor    r10d,r10d
        0xb8, 0x3d, 0x00, 0x00, 0x00,      // 14: mov    eax,0x3d
        0x0f, 0x05,                        // 19: syscall
        0x85, 0xc0,                        // 1b: test   eax,eax
        0x78, 0x15,                        // 1d: js     0x34
        0x0f, 0xb6, 0x7c, 0x24, 0x01,      // 1f: movzx  edi,BYTE PTR [rsp+0x1]  ; WEXITSTATUS
        0x8b, 0x0c, 0x24,                  // 24: mov    ecx,DWORD PTR [rsp]  ; WTERMSIG
        0x83, 0xe1, 0x7f,                  // 27: and    ecx,0x7f
        0x74, 0x12,                        // 2a: je     0x3e
        0x8d, 0xb9, 0x80, 0x00, 0x00, 0x00, // 2c: lea    edi,[rcx+0x80]
        0xeb, 0x0a,                        // 32: jmp    0x3e
        0x83, 0xf8, 0xfc,                  // 34: cmp    eax,0xfffffffc  ; failed: EINTR
        0x74, 0xcb,                        // 37: je     0x4
        0xbf, 0xff, 0x00, 0x00, 0x00,      // 39: mov    edi,0xff
        0xb8, 0xe7, 0x00, 0x00, 0x00,      // 3e: mov    eax,0xe7  ; leave: exit_group
        0x0f, 0x05,                        // 43: syscall
        0x0f, 0x0b,                        // 45: ud2
    ];

    // The same (AAPCS64).
    internal static ReadOnlySpan<byte> Arm64 =>
    [
        0xff, 0x43, 0x00, 0xd1,  // 00: sub    sp, sp, #0x10  ; status
        0x00, 0x00, 0x80, 0x92,  // 04: mov    x0, #0xffffffffffffffff  ; wait: wait4(-1, status, __WALL, NULL)
        0xe1, 0x03, 0x00, 0x91,  // 08: mov    x1, sp
        0x02, 0x00, 0xa8, 0xd2,  // 0c: mov    x2, #0x40000000
        0x03, 0x00, 0x80, 0xd2,  // 10: mov    x3, #0x0
        0x88, 0x20, 0x80, 0xd2,  // 14: mov    x8, #0x104
        0x01, 0x00, 0x00, 0xd4,  // 18: svc    #0x0
        0xe0, 0x00, 0xf8, 0xb7,  // 1c: tbnz   x0, #63, 0x38
        0xe9, 0x03, 0x40, 0xb9,  // 20: ldr    w9, [sp]
        0x20, 0x3d, 0x08, 0x53,  // 24: ubfx   w0, w9, #8, #8  ; WEXITSTATUS
        0x29, 0x19, 0x00, 0x72,  // 28: ands   w9, w9, #0x7f  ; WTERMSIG
        0xc0, 0x00, 0x00, 0x54,  // 2c: b.eq   0x44
        0x20, 0x01, 0x02, 0x11,  // 30: add    w0, w9, #0x80
        0x04, 0x00, 0x00, 0x14,  // 34: b      0x44
        0x1f, 0x10, 0x00, 0x31,  // 38: cmn    w0, #0x4  ; failed: EINTR
        0x40, 0xfe, 0xff, 0x54,  // 3c: b.eq   0x4
        0xe0, 0x1f, 0x80, 0x52,  // 40: mov    w0, #0xff
        0xc8, 0x0b, 0x80, 0xd2,  // 44: mov    x8, #0x5e  ; leave: exit_group
        0x01, 0x00, 0x00, 0xd4,  // 48: svc    #0x0
        0x00, 0x00, 0x20, 0xd4,  // 4c: brk    #0x0
    ];

    /// <summary>The program's file.</summary>
    public static byte[] Image() => StaticProgram.Build(RuntimeInformation.ProcessArchitecture, [], RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? Arm64 : X64);
}
