package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings.ClientIdStrategyEnum;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings.IdStrategyEnum;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings.StoreMetaSourceInformationEnum;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.entity.NormalizedQuantitySearchLevel;
import ca.uhn.fhir.jpa.model.entity.StorageSettings.IndexEnabledEnum;
import ca.uhn.fhir.jpa.model.entity.StorageSettings.TagStorageModeEnum;
import java.util.HashSet;
import java.util.List;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The storage switches, read under the key names of HAPI's official starter. */
@Configuration
public class StoreConfig {

  private final Settings settings;

  public StoreConfig(Settings settings) {
    this.settings = settings;
  }

  @Bean
  public JpaStorageSettings jpaStorageSettings() {
    JpaStorageSettings storage = new JpaStorageSettings();
    searching(storage);
    identity(storage);
    deleting(storage);
    writing(storage);
    indexing(storage);
    background(storage);
    return storage;
  }

  private void searching(JpaStorageSettings storage) {
    long reuse = settings.get("reuse_cached_search_results_millis", Long.class, 60_000L);
    storage.setReuseCachedSearchResultsForMillis(reuse > 0 ? reuse : null);
    storage.setExpireSearchResultsAfterMillis(
        settings.get("retain_cached_searches_mins", Long.class, 60L) * 60_000);
    // the starter also calls setFetchSizeDefaultMaximum(max_page_size): it cuts long searches short, so not here
    storage.setSearchPreFetchThresholds(
        settings.list("search_prefetch_thresholds", Integer.class, List.of(13, 503, 2003, -1)));
    storage.setFilterParameterEnabled(settings.on("filter_search_enabled", true));
    storage.setAllowContainsSearches(settings.on("allow_contains_searches", true));
    storage.setLanguageSearchParameterEnabled(settings.on("language_search_parameter_enabled", false));
    storage.setDefaultSearchParamsCanBeOverridden(settings.on("allow_override_default_search_params", true));
    storage.setLastNEnabled(settings.on("lastn_enabled", false));
  }

  private void identity(JpaStorageSettings storage) {
    storage.setResourceClientIdStrategy(
        settings.get("client_id_strategy", ClientIdStrategyEnum.class, ClientIdStrategyEnum.ALPHANUMERIC));
    storage.setResourceServerIdStrategy(
        settings.get("server_id_strategy", IdStrategyEnum.class, IdStrategyEnum.SEQUENTIAL_NUMERIC));
    storage.setAllowExternalReferences(settings.on("allow_external_references", false));
    // The facade resolves them where the caller's rights are known; a second lock, should one ever arrive here.
    storage.setAllowInlineMatchUrlReferences(settings.on("allow_inline_match_url_references", false));
    storage.setEnforceReferentialIntegrityOnWrite(settings.on(ReferencesToNothing.ON_WRITE, true));
    storage.setEnforceReferentialIntegrityOnDelete(settings.on(ReferencesToNothing.ON_DELETE, true));
    storage.setAutoCreatePlaceholderReferenceTargets(
        settings.on("auto_create_placeholder_reference_targets", false));
    storage.setTreatBaseUrlsAsLocal(new HashSet<>(settings.list("local_base_urls", String.class, List.of())));
    storage.setTreatReferencesAsLogical(new HashSet<>(settings.list("logical_urls", String.class, List.of())));
  }

  private void deleting(JpaStorageSettings storage) {
    storage.setDeleteEnabled(settings.on("delete_enabled", true));
    storage.setAllowMultipleDelete(settings.on("allow_multiple_delete", false));
    storage.setDeleteExpungeEnabled(settings.on("delete_expunge_enabled", false));
    storage.setExpungeEnabled(settings.on("expunge_enabled", true));
  }

  private void writing(JpaStorageSettings storage) {
    storage.setMatchUrlCacheEnabled(settings.on("match_url_cache_enabled", false));
    storage.setMassIngestionMode(settings.on("mass_ingestion_mode_enabled", false));
    storage.setResourceDbHistoryEnabled(settings.on("resource_dbhistory_enabled", true));
    storage.setStoreMetaSourceInformation(
        settings.get(
            "store_meta_source_information",
            StoreMetaSourceInformationEnum.class,
            StoreMetaSourceInformationEnum.SOURCE_URI_AND_REQUEST_ID));
    storage.setTagStorageMode(
        settings.get("tag_storage_mode", TagStorageModeEnum.class, TagStorageModeEnum.VERSIONED));
    List<String> bundles =
        settings.list("allowed_bundle_types", String.class, List.of("collection", "document", "message"));
    storage.setBundleTypesAllowedForStorage(new HashSet<>(bundles));
    storage.setBundleBatchPoolSize(settings.number("bundle_batch_pool_size", 20));
    storage.setBundleBatchMaxPoolSize(settings.number("bundle_batch_pool_max_size", 100));
  }

  private void indexing(JpaStorageSettings storage) {
    storage.setIndexMissingFields(
        settings.on("enable_index_missing_fields", false) ? IndexEnabledEnum.ENABLED : IndexEnabledEnum.DISABLED);
    storage.setIndexIdentifierOfType(settings.on("enable_index_of_type", false));
    storage.setIndexOnContainedResources(settings.on("enable_index_contained_resource", false));
    storage.setIndexOnUpliftedRefchains(settings.on("upliftedRefchains_enabled", false));
    storage.setIndexStorageOptimized(settings.on("index_storage_optimized", false));
    storage.setNormalizedQuantitySearchLevel(
        settings.get(
            "normalized_quantity_search_level",
            NormalizedQuantitySearchLevel.class,
            NormalizedQuantitySearchLevel.NORMALIZED_QUANTITY_SEARCH_NOT_SUPPORTED));
    storage.setMarkResourcesForReindexingUponSearchParameterChange(
        settings.on("mark_resources_for_reindexing_upon_search_parameter_change", true));
    storage.setHibernateSearchIndexSearchParams(settings.on("advanced_lucene_indexing", false));
    storage.setHibernateSearchIndexFullText(settings.on("search_index_full_text_enabled", false));
  }

  private void background(JpaStorageSettings storage) {
    storage.setPreExpandValueSets(settings.on("pre_expand_value_sets", true));
    storage.setEnableTaskPreExpandValueSets(settings.on("enable_task_pre_expand_value_sets", true));
    storage.setSchedulingDisabled(!settings.on("dao_scheduling_enabled", true));
    storage.setBulkExportFileRetentionPeriodHours(settings.number("bulk_export_file_retention_period_hours", 2));
  }

  /** HAPI's channels, which its batch jobs use, ask for it; no Subscription is read. */
  @Bean
  public SubscriptionSettings subscriptionSettings() {
    return new SubscriptionSettings();
  }

  @Bean
  public PartitionSettings partitionSettings() {
    return new PartitionSettings();
  }
}
