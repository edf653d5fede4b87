namespace Slipway.Engine.Containers.Create;

/// <summary><c>--security-opt</c>.</summary>
/// <param name="Seccomp">The text of a profile, <c>unconfined</c>, <c>builtin</c>, or null for the engine's default.</param>
internal sealed record SecurityOptions(bool NoNewPrivileges, string? Seccomp)
{
    public const string Unconfined = ContainerDefaults.Unconfined;
    public const string BuiltIn = "builtin";

    /// <exception cref="EngineException">InvalidParameter, or NotImplemented for a security module that is not supported.</exception>
    /// <param name="noNewPrivileges">Where the options do not say.</param>
    public static SecurityOptions Parse(IReadOnlyList<string>? options, bool noNewPrivileges = false)
    {
        string? seccomp = null;
        foreach (string option in options ?? [])
        {
            int separator = option.IndexOfAny(['=', ':']);
            string key = separator < 0 ? option : option[..separator];
            string value = separator < 0 ? "" : option[(separator + 1)..];
            switch (key)
            {
                case "no-new-privileges":
                    noNewPrivileges = value switch
                    {
                        "" or "true" => true,
                        "false" => false,
                        _ => throw ContainerErrors.Invalid($"invalid --security-opt 2: \"{option}\""),
                    };
                    break;
                case "seccomp" when value.Length > 0:
                    seccomp = value;
                    break;

                // No label and no profile is what there is.
                case "apparmor" when value is Unconfined:
                case "label" when value is "disable":
                case "systempaths" when value is Unconfined:
                    break;
                case "apparmor" or "label" or "writable-cgroups":
                    throw ContainerErrors.Unsupported($"--security-opt {option}");
                default:
                    throw ContainerErrors.Invalid($"invalid --security-opt 2: \"{option}\"");
            }
        }

        return new SecurityOptions(noNewPrivileges, seccomp);
    }
}
