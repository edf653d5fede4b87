using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>skopeo, buildah and umoci, with a folder of their own.</summary>
internal sealed class OtherClients(string folder)
{
    public string Layout => Path.Combine(folder, "layout");

    /// <param name="source">With its transport, <c>docker://host/name:tag</c>.</param>
    /// <returns>The error where the copy failed, else null.</returns>
    public static async Task<CliResult> Copy(string source, string destination, params string[] options)
    {
        Requirement.Program("skopeo", "skopeo");
        return await Programs.Run("skopeo", ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", .. options, source, destination], limit: Programs.Limit(120));
    }

    /// <summary>The digest of what a tag stands for, in the bytes that skopeo gets.</summary>
    public static async Task<string> Digest(string source)
    {
        Requirement.Program("skopeo", "skopeo");
        var raw = (await Programs.Run("skopeo", ["inspect", "--raw", "--tls-verify=false", source])).Ok().Output;
        return RegistryHttp.DigestOf(System.Text.Encoding.UTF8.GetBytes(raw));
    }

    public Task<CliResult> Buildah(params string[] arguments)
    {
        Requirement.Program("buildah", "buildah");
        string[] places = ["--root", Path.Combine(folder, "root"), "--runroot", Path.Combine(folder, "run"), "--storage-driver", "vfs"];
        return Programs.Run("buildah", [.. places, .. arguments], limit: Programs.Limit(120));
    }

    public static Task<CliResult> Umoci(params string[] arguments)
    {
        Requirement.Program("umoci", "umoci");
        return Programs.Run("umoci", arguments, limit: Programs.Limit(120));
    }
}
