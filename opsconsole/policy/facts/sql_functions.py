"""SQL functions by what calling them does: names that only compute or read, and names known to act; no parsing here."""

from __future__ import annotations

from sqlglot import exp


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING = _words("""
    abs acos addtime age any_value array_append array_cat array_length array_lower array_ndims array_position
    array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii asin atan
    bin bin_to_uuid bit_and bit_count bit_or bit_xor bool_and bool_or btrim ceiling changes char char_length
    character_length charindex choose clock_timestamp coercibility col_description conv convert_from convert_tz cot
    crc32 cume_dist curdate current_schemas current_setting curtime
    database date_format date_part datename datepart datetime datetimefromparts day dayname dayofmonth dayofweek
    dayofyear decode degrees div every
    eomonth export_set extractvalue field find_in_set format format_bytes format_type found_rows from_days
    from_unixtime fulltext gen_random_uuid generate_series generate_subscripts get_bit get_byte get_format getdate
    getutcdate glob group_concat grouping has_schema_privilege has_table_privilege hex host hour
    ifnull iif iff inet6_aton inet6_ntoa inet_aton inet_ntoa initcap instr interval is_ipv4 is_ipv6 is_uuid
    isdate isnull isnumeric json_agg json_array json_array_elements json_array_elements_text json_array_length
    json_arrayagg
    json_build_array json_build_object json_contains json_contains_path json_depth json_each json_each_text json_extract
    json_extract_path json_extract_path_text json_group_array json_group_object json_insert json_keys json_length
    json_merge_patch json_merge_preserve json_modify json_object json_object_agg json_object_keys json_objectagg
    json_overlaps json_patch json_populate_record json_pretty json_query json_quote json_remove json_replace json_search
    json_set json_strip_nulls json_table json_to_record json_to_recordset json_tree json_type json_typeof json_unquote
    json_valid json_value jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
    jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty
    jsonb_set jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days julianday
    last_insert_id last_insert_rowid lcase len length likelihood likely locate log10 log2 lpad ltrim
    make_date make_interval make_set make_time make_timestamp make_timestamptz makedate maketime max_by
    microsecond mid min_by minute mod monthname month name_const newid now nullif num_nonnulls num_nulls numnode
    obj_description object_name octet_length oct ord overlay
    parsename patindex period_add period_diff pg_backend_pid pg_column_size pg_database_size pg_get_constraintdef
    pg_get_expr pg_get_functiondef pg_get_indexdef pg_get_serial_sequence pg_get_userbyid pg_get_viewdef
    pg_indexes_size pg_is_in_recovery pg_postmaster_start_time pg_relation_size pg_size_pretty pg_table_is_visible
    pg_table_size pg_tablespace_size pg_total_relation_size pg_typeof
    pi plainto_tsquery position power printf quarter quote quote_ident quote_literal quote_nullable quotename
    radians random regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr replicate round row row_count row_to_json rpad rtrim
    schema sec_to_time second session_user set_masklen shobj_description sign similarity smalldatetimefromparts space
    split_part sqlite_version sql_variant_property statement_timestamp std strcmp strftime string_agg string_escape
    string_split string_to_array strpos subdate substr substring substring_index subtime switchoffset sysdate
    sysdatetime sysdatetimeoffset system_user sysutcdatetime
    time_format time_to_sec timediff timefromparts timeofday timestamp to_char to_date to_days to_hex to_json to_jsonb
    to_number to_seconds to_timestamp to_tsquery to_tsvector todatetimeoffset total total_changes transaction_timestamp
    trim_array truncate try_convert try_parse ts_headline ts_rank ts_rank_cd txid_current typeof
    ucase unicode unixepoch unlikely unistr unnest updatexml upper user utc_date utc_time utc_timestamp uuid
    uuid_generate_v4 uuid_short uuid_to_bin uuidv4 uuidv7
    values version websearch_to_tsquery week weekday weekofyear weight_string width_bucket word_similarity
    xmlagg xmlforest xpath xpath_exists year yearweek
""") | {f"pragma_{name}" for name in ("table_info", "table_xinfo", "index_list", "index_info", "foreign_key_list")}
"""Read or compute and do nothing else. What sqlglot knows as a type of its own is not listed, but for `ACTING_TYPES`.

Not here, so that they ask: what waits (`sleep`, `benchmark`, `pg_sleep`), reads files (`load_file`, `pg_read_file`),
takes locks, reaches another host or runs SQL that it is given (`query_to_xml`, `ts_stat`).
"""

WRITING = _words("""
    lo_create lo_creat lo_export lo_from_bytea lo_import lo_put lo_truncate lo_unlink lowrite nextval
    pg_cancel_backend pg_create_logical_replication_slot pg_create_physical_replication_slot pg_create_restore_point
    pg_drop_replication_slot pg_file_rename pg_file_unlink pg_file_write pg_logical_emit_message pg_notify pg_promote
    pg_reload_conf pg_replication_origin_create pg_rotate_logfile pg_stat_reset pg_stat_statements_reset pg_switch_wal
    pg_terminate_backend set_config setval writefile xp_cmdshell xp_regwrite sp_configure
""")
"""Known to change something, the server itself included."""

READING_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
"""A function that is qualified otherwise is somebody's own."""

ACTING_TYPES: tuple[type[exp.Expr], ...] = (
    exp.AIAgg,
    exp.AIClassify,
    exp.AIEmbed,
    exp.AIForecast,
    exp.AIGenerate,
    exp.AISimilarity,
    exp.AISummarizeAgg,
    exp.Apply,
    exp.DynamicIdentifier,
    exp.FeaturesAtTime,
    exp.GenerateBool,
    exp.GenerateDouble,
    exp.GenerateEmbedding,
    exp.GenerateInt,
    exp.GenerateTable,
    exp.GenerateText,
    exp.MLForecast,
    exp.MLTranslate,
    exp.NetFunc,
    exp.NextValueFor,
    exp.Predict,
    exp.ReadCSV,
    exp.ReadParquet,
    exp.Secret,
    exp.ToFile,
    exp.VectorSearch,
)
"""Functions with a type of their own that read files, reach a service, name a table by a value or move a sequence."""


def said_of_function(name: str, known: frozenset[str]) -> str | None:
    """`reads`, `writes`, or None of a function nobody vouches for; `known` are those that the policy's author does."""
    lowered = name.lower()
    if lowered in WRITING:
        return "writes"
    return "reads" if lowered in READING or lowered in known else None
