namespace Slipway.Networking;

/// <summary>Something in the kernel's tables that another program may delete. Used by the host's thread.</summary>
internal interface IRepairable
{
    /// <summary>Whether it is there.</summary>
    bool IsIntact { get; }

    /// <summary>Makes it again.</summary>
    void Repair();
}
