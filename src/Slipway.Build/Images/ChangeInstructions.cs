using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Images;

/// <summary>The Dockerfile instructions that <c>docker import</c> and <c>commit --change</c> take: those that only change the configuration.</summary>
public static class ChangeInstructions
{
    private static readonly string[] s_keywords = ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

    /// <summary>Applies instructions one after another.</summary>
    /// <param name="changes">An instruction or several lines of such each.</param>
    /// <exception cref="DockerfileException">An unknown or malformed instruction.</exception>
    public static ImageRunConfig Apply(ImageRunConfig config, IReadOnlyList<string> changes)
    {
        bool commandGiven = false;
        foreach (Instruction instruction in changes.SelectMany(change => DockerfileParser.ParseInstructions(change, RefuseOthers)))
        {
            ImageRunConfig before = config;
            config = ConfigInstructions.Apply(config, instruction, '\\', name => Find(before.Env ?? [], name));
            commandGiven |= instruction is CmdInstruction;
            if (instruction is EntrypointInstruction && !commandGiven)
            {
                // The command was written for another program (Dockerfile reference, "Understand how CMD and ENTRYPOINT interact").
                config = config with { Cmd = null };
            }
        }

        return config;
    }

    private static void RefuseOthers(string typed)
    {
        if (!s_keywords.Contains(typed.ToUpperInvariant()))
        {
            throw new DockerfileException($"{typed} is not a valid change command");
        }
    }

    private static string? Find(IReadOnlyList<string> environment, string name) =>
        environment.LastOrDefault(entry => entry.Length > name.Length && entry[name.Length] == '=' && entry.StartsWith(name, StringComparison.Ordinal))?[(name.Length + 1)..];
}
